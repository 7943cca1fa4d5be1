//! What is there already, what is too long, who may come in.

use super::*;
use std::os::unix::fs::PermissionsExt as _;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

#[test]
fn a_socket_that_a_dead_process_left_is_replaced_and_a_live_one_is_not() {
    let folder = folder();
    let path = folder.path().join("s");
    drop(UnixListener::bind(&path).expect("free"));
    assert!(path.exists(), "left behind");
    let bound = Bound::new(&path, 0o600, None).expect("replaced");
    assert!(matches!(Bound::new(&path, 0o600, None), Err(SocketError::Live(_))));
    drop(bound);
    assert!(!path.exists());
}

#[test]
fn of_many_that_find_a_dead_socket_at_once_one_gets_it_and_the_others_see_that_it_lives() {
    let folder = folder();
    for round in 0..50 {
        let path = folder.path().join(format!("s{round}"));
        drop(UnixListener::bind(&path).expect("free"));
        let start = std::sync::Barrier::new(8);
        let bound: Vec<_> = std::thread::scope(|scope| {
            let each = || {
                start.wait();
                Bound::new(&path, 0o600, None)
            };
            let starts: Vec<_> = (0..8).map(|_| scope.spawn(each)).collect();
            starts.into_iter().map(|start| start.join().expect("it ends")).collect()
        });
        assert_eq!(bound.iter().filter(|bound| bound.is_ok()).count(), 1, "{bound:?}");
        assert!(bound.iter().all(|bound| matches!(bound, Ok(_) | Err(SocketError::Live(_)))), "{bound:?}");
        assert!(connect(&path, Duration::from_mins(1)).is_ok(), "the file is that of the one");
    }
}

#[test]
fn a_socket_whose_file_is_gone_is_made_anew_with_its_folder() {
    let folder = folder();
    let path = folder.path().join("state/s");
    fs::create_dir(folder.path().join("state")).expect("made");
    let mut bound = Bound::new(&path, 0o640, None).expect("free");
    assert!(bound.is_there());
    fs::remove_dir_all(folder.path().join("state")).expect("removed");
    assert!(!bound.is_there());
    let _listener = bound.renew().expect("made anew");
    assert!(bound.is_there() && connect(&path, Duration::from_mins(1)).is_ok());
    assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o640);
    fs::remove_file(&path).expect("removed");
    let other = UnixListener::bind(&path).expect("taken by another");
    assert!(matches!(bound.renew(), Err(SocketError::Live(_))));
    drop((bound, other));
    assert!(path.exists(), "that of the other is left alone");
}

#[test]
fn one_that_takes_nobody_in_does_not_hold_up_who_connects() {
    let folder = folder();
    let path = folder.path().join("s");
    let _listener = UnixListener::bind(&path).expect("free");
    let mut waiting = Vec::new();
    let error = loop {
        match connect(&path, Duration::from_millis(20)) {
            Ok(stream) => waiting.push(stream),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "after {} in its queue", waiting.len());
    assert!(matches!(Bound::new(&path, 0o600, None), Err(SocketError::Live(_))), "busy is alive");
}

#[test]
fn a_file_that_is_no_socket_is_left_alone() {
    let folder = folder();
    let path = folder.path().join("s");
    fs::write(&path, "precious").expect("written");
    assert!(matches!(Bound::new(&path, 0o600, None), Err(SocketError::NoSocket(_))));
    assert_eq!(fs::read_to_string(&path).expect("still there"), "precious");
}

#[test]
fn only_our_own_file_is_removed_at_the_end() {
    let folder = folder();
    let path = folder.path().join("s");
    let bound = Bound::new(&path, 0o600, None).expect("free");
    fs::remove_file(&path).expect("removed by somebody");
    let other = UnixListener::bind(&path).expect("and taken by another");
    drop(bound);
    assert!(path.exists());
    drop(other);
}

#[test]
fn the_mode_is_as_asked_whatever_the_umask() {
    for mode in [0o600, 0o660, 0o666] {
        let folder = folder();
        let path = folder.path().join("s");
        let _bound = Bound::new(&path, mode, None).expect("free");
        let found = fs::metadata(&path).expect("there").permissions().mode() & 0o777;
        assert_eq!(found, mode);
    }
}

#[test]
fn a_long_path_works_and_a_long_name_is_refused_in_words() {
    let folder = folder();
    let deep = folder.path().join("d".repeat(120));
    fs::create_dir(&deep).expect("made");
    let path = deep.join("s");
    let _bound = Bound::new(&path, 0o600, None).expect("bound through its folder");
    assert!(connect(&path, Duration::from_mins(1)).is_ok());
    let error = Bound::new(&deep.join("n".repeat(120)), 0o600, None).expect_err("too long");
    assert!(matches!(error, SocketError::TooLong(_)), "{error}");
    assert!(error.to_string().contains("the system takes 107"), "{error}");
}

#[test]
fn a_group_is_found_by_name_or_number() {
    assert_eq!(group_id("root").expect("everywhere"), 0);
    assert_eq!(group_id("4711").expect("a number"), 4711);
    let error = group_id("no such group").expect_err("none");
    assert!(error.to_string().contains("no such group in /etc/group"), "{error}");
}

#[test]
fn our_user_root_and_the_group_may_come_in_and_nobody_else() {
    let peers = Peers { user: 1000, group: Some(50) };
    let none = Vec::new;
    assert!(peers.allow(1000, 1000, none) && peers.allow(0, 0, none) && peers.allow(1001, 50, none));
    assert!(peers.allow(1001, 1001, || vec![7, 50]));
    assert!(!peers.allow(1001, 1001, || vec![7]));
    assert!(!Peers { user: 1000, group: None }.allow(1001, 50, || vec![50]));
}

#[test]
fn the_groups_of_a_process_are_read_from_the_system() {
    let own = i32::try_from(std::process::id()).ok();
    let ours: Vec<u32> =
        rustix::process::getgroups().expect("asked").iter().map(|group| group.as_raw()).collect();
    assert_eq!(groups_of(own), ours);
    assert_eq!(groups_of(None), Vec::<u32>::new());
}
