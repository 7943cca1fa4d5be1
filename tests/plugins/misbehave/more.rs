//! More of it: what harms the process without a trace in the numbers of its descriptors, and what its threads inherit.

use std::ffi::CString;

/// Numbers that programs use for their own files.
const LOW: std::ops::Range<i32> = 3..64;

/// Does it, and goes on.
pub(crate) fn act(action: &str) {
    // SAFETY: calls of the C library with valid arguments. What they do to the process is why they are here.
    unsafe {
        match action {
            "replaces-its-streams" => replace(0..3),
            "replaces-all-files" => replace(LOW),
            "replaces-every-file" => replace(0..1024),
            "closes-file-6" => {
                libc::close(6);
            }
            "writes-to-file-7" => {
                libc::write(7, c"x".as_ptr().cast(), 1);
            }
            "never-waits-for-output" => {
                let flags = libc::fcntl(2, libc::F_GETFL);
                libc::fcntl(2, libc::F_SETFL, flags | libc::O_NONBLOCK);
            }
            "lowers-a-soft-limit" => {
                let mut limit = std::mem::zeroed();
                libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
                limit.rlim_cur = 1000;
                libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
            }
            "runs-when-idle" => {
                let parameter = libc::sched_param { sched_priority: 0 };
                libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const parameter);
            }
            "reads-when-idle" => {
                const IDLE_OF_THIS_THREAD: [i64; 3] = [1, 0, 3 << 13];
                let [who, id, idle] = IDLE_OF_THIS_THREAD;
                libc::syscall(libc::SYS_ioprio_set, who, id, idle);
            }
            "lets-timers-be-late" => {
                libc::prctl(libc::PR_SET_TIMERSLACK, 500_000_000_usize);
            }
            "hides-its-memory" => {
                libc::prctl(libc::PR_SET_DUMPABLE, 0_usize);
            }
            "renames-the-thread" => {
                libc::prctl(libc::PR_SET_NAME, c"kworker".as_ptr());
            }
            "adopts-orphans" => {
                libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1_usize);
            }
            "gives-up-a-privilege" => {
                libc::prctl(libc::PR_SET_KEEPCAPS, 1_usize);
            }
            "takes-a-locale-of-its-own" => {
                let locale = libc::newlocale(libc::LC_ALL_MASK, c"C.UTF-8".as_ptr(), std::ptr::null_mut());
                libc::uselocale(locale);
            }
            _ => reach_out(action),
        }
    }
}

/// Past the process: to files, other processes and the machine; and past what the vetting child may have.
unsafe fn reach_out(action: &str) {
    // SAFETY: as above; whatever they could do is asked for so that it changes nothing, should it be let.
    unsafe {
        match action {
            "closes-its-file-to-others" => {
                // The vetting child's arguments have the library's path.
                let path = std::env::args().find(|argument| argument.ends_with("misbehave.so"));
                let path = CString::new(path.unwrap_or_default()).expect("no zero inside");
                libc::chmod(path.as_ptr(), 0o600);
            }
            "makes-its-file-old" => {
                let path = std::env::args().find(|argument| argument.ends_with("misbehave.so"));
                let path = CString::new(path.unwrap_or_default()).expect("no zero inside");
                let times = [libc::timeval { tv_sec: 1, tv_usec: 0 }; 2];
                libc::utimes(path.as_ptr(), times.as_ptr());
            }
            "limits-its-parent" => {
                let limit = libc::rlimit { rlim_cur: 100, rlim_max: 100 };
                let nobody = std::ptr::null_mut();
                libc::prlimit(libc::getppid(), libc::RLIMIT_NOFILE, &raw const limit, nobody);
            }
            "slows-its-parent" => {
                libc::setpriority(libc::PRIO_PROCESS, libc::getppid().cast_unsigned(), 5);
            }
            "schedules-its-parent" => {
                let parameter = libc::sched_param { sched_priority: 0 };
                libc::sched_setscheduler(libc::getppid(), libc::SCHED_IDLE, &raw const parameter);
            }
            "corrects-the-clock" => {
                let mut clock: libc::timex = std::mem::zeroed();
                libc::adjtimex(&raw mut clock);
                clock.modes = libc::ADJ_FREQUENCY;
                libc::adjtimex(&raw mut clock);
            }
            "shares-memory" => {
                libc::shmget(libc::IPC_PRIVATE, 4096, libc::IPC_CREAT | 0o600);
            }
            "looks-at-other-limits-and-the-clock" => {
                let mut clock: libc::timex = std::mem::zeroed();
                assert!(libc::adjtimex(&raw mut clock) >= 0, "reading how the clock is corrected");
                let mut limit = std::mem::zeroed();
                let nothing = std::ptr::null();
                let read = libc::prlimit(libc::getpid(), libc::RLIMIT_CORE, nothing, &raw mut limit);
                assert_eq!(read, 0, "its own limits, by its number");
            }
            "makes-a-local-socket" => {
                assert!(libc::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0) >= 0, "a socket");
            }
            "makes-a-raw-socket" => {
                assert!(libc::socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP) >= 0, "a socket");
            }
            "connects-elsewhere" => {
                let refused = std::net::TcpStream::connect("127.0.0.1:9").expect_err("nobody is there");
                assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused, "{refused}");
            }
            "connects-where-it-may" => {
                let refused = std::net::TcpStream::connect("127.0.0.1:1").expect_err("nobody is there");
                assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused, "{refused}");
            }
            "takes-much-memory-at-once" => {
                let memory = libc::malloc(1200 << 20);
                assert!(!std::hint::black_box(memory).is_null(), "1,200 MiB of memory");
                libc::free(memory);
            }
            "starts-many-threads-in-turn" => {
                (0..300).for_each(|_| std::thread::spawn(|| ()).join().expect("a thread"));
            }
            "opens-many-files" => {
                let files: Result<Vec<_>, _> = (0..400).map(|_| std::fs::File::open("/dev/null")).collect();
                files.expect("400 files");
            }
            "makes-a-large-file" => {
                let file = libc::memfd_create(c"large".as_ptr(), 0);
                libc::ftruncate(file, 128 << 20);
                libc::close(file);
            }
            "needs-its-environment" => {
                let word = std::env::var("MISBEHAVE_WORD");
                assert_eq!(word.as_deref(), Ok("a word"), "the value of a variable");
                let secret = std::env::var("MISBEHAVE_TOKEN").expect("all variables");
                assert_eq!(secret.len(), "a secret".len(), "the length of a secret");
                assert_ne!(secret, "a secret", "what is secret");
            }
            other => panic!("no such action: {other}"),
        }
    }
}

/// Nothing is lost in numbers, and all that is written is.
unsafe fn replace(numbers: std::ops::Range<i32>) {
    // SAFETY: puts another file in the place of those that are open.
    unsafe {
        let nothing = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
        let open = numbers.filter(|number| libc::fcntl(*number, libc::F_GETFD) >= 0);
        let open: Vec<i32> = open.filter(|number| *number != nothing).collect();
        for number in open {
            libc::dup2(nothing, number);
        }
        libc::close(nothing);
    }
}
