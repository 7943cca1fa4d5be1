//! Listening sockets that a service manager opened before the daemon started, by name: systemd's socket activation
//! (`LISTEN_FDS`, `LISTEN_PID` and `LISTEN_FDNAMES`, as in `sd_listen_fds_with_names(3)`).

#![forbid(unsafe_code)]

use listenfd::ListenFd;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

/// The name of a socket that was given none, as systemd has it.
const NAMELESS: &str = "unknown";

/// Takes the sockets that were meant for this process, so that nothing started later inherits them. Of two with one name
/// the first is kept, and the other named in the log.
pub(crate) fn take() -> BTreeMap<String, OwnedFd> {
    let names = names(&std::env::var("LISTEN_FDNAMES").unwrap_or_default());
    let mut handed = ListenFd::from_env();
    let mut listeners = BTreeMap::new();
    for index in 0..handed.len() {
        let name = names.get(index).map_or(NAMELESS, String::as_str);
        let Some(socket) = socket(&mut handed, index) else {
            tracing::warn!(listener = name, "no socket that a source could listen on; it is left alone");
            continue;
        };
        if listeners.contains_key(name) {
            tracing::warn!(listener = name, "a second socket of this name was handed over; it is closed");
        } else {
            listeners.insert(name.to_owned(), socket);
        }
    }
    listeners
}

fn socket(handed: &mut ListenFd, index: usize) -> Option<OwnedFd> {
    if let Ok(Some(socket)) = handed.take_tcp_listener(index) {
        return Some(socket.into());
    }
    if let Ok(Some(socket)) = handed.take_unix_listener(index) {
        return Some(socket.into());
    }
    handed.take_udp_socket(index).ok().flatten().map(Into::into)
}

fn names(text: &str) -> Vec<String> {
    text.split(':').map(|name| if name.is_empty() { NAMELESS } else { name }.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn names_stand_in_the_order_of_the_sockets() {
        assert_eq!(names("plant:meters"), ["plant", "meters"]);
        assert_eq!(names("plant::meters"), ["plant", "unknown", "meters"]);
    }
}
