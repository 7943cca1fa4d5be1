//! What a faulty library may do at a bad moment: chosen by a text in the library that tests overwrite in the file.

#[path = "more.rs"]
mod more;

use std::ffi::CString;
use std::hint::black_box;
use std::io::Write as _;
use std::time::Duration;

/// Long enough for every order; a test writes over what is behind the colon.
const ORDER_BYTES: usize = 64;

/// `misbehave:MOMENT ACTION`, filled up with spaces.
#[used]
static ORDER: [u8; ORDER_BYTES] = *b"misbehave:never nothing                                         ";

/// Does what was ordered, if this is the moment for it.
pub(crate) fn at(moment: &str) {
    // SAFETY: reads an initialised static; volatile, because a test changes it in the file after it was compiled.
    let order = unsafe { std::ptr::read_volatile(&raw const ORDER) };
    let order = std::str::from_utf8(&order).unwrap_or_default();
    let mut words = order.trim_start_matches("misbehave:").split_whitespace();
    if words.next() == Some(moment) {
        act(words.next().unwrap_or_default());
    }
}

/// What is ordered for this moment, for what only the plugin's own code can do.
pub(crate) fn ordered(moment: &str, action: &str) -> bool {
    // SAFETY: as above.
    let order = unsafe { std::ptr::read_volatile(&raw const ORDER) };
    let order = std::str::from_utf8(&order).unwrap_or_default();
    order.trim_start_matches("misbehave:").trim_end() == format!("{moment} {action}")
}

fn act(action: &str) {
    match action {
        "panics" => panic!("no luck today"),
        "aborts" => std::process::abort(),
        // SAFETY: ends the process.
        "exits-0" => unsafe { libc::exit(0) },
        // SAFETY: ends the process.
        "exits-1" => unsafe { libc::exit(1) },
        // SAFETY: ends the process.
        "exits-at-once" => unsafe { libc::_exit(0) },
        "hangs" => loop {
            std::thread::park();
        },
        "spins" => loop {
            black_box(());
        },
        "kills-itself" => raise(libc::SIGKILL),
        "stops-itself" => raise(libc::SIGSTOP),
        // SAFETY: none of it is safe; nothing is mapped there.
        "segfaults" => unsafe {
            black_box(std::ptr::without_provenance::<u8>(8).read_volatile());
        },
        // SAFETY: a signal to the process that started this one.
        "kills-its-parent" => unsafe {
            libc::kill(libc::getppid(), libc::SIGKILL);
        },
        "forks" => fork(false),
        "daemonises" => fork(true),
        "forks-without-end" => (0..10_000).for_each(|_| fork(false)),
        "runs-a-program" => {
            std::process::Command::new("/bin/true").status().expect("a program runs");
        }
        "overflows-the-stack" => {
            black_box(deeper(1));
        }
        "allocates-without-end" => {
            let mut all: Vec<Vec<u8>> = Vec::new();
            loop {
                all.push(black_box(Vec::with_capacity(256 << 20)));
            }
        }
        // Only the stage itself can.
        "fails-at-length" | "says-it-was-denied" => {}
        "floods-its-output" => loop {
            let _ = std::io::stderr().write_all(&[b'x'; 4096]);
        },
        "reads-a-file" => {
            std::fs::read("/etc/passwd").expect("a file that everybody can read");
        }
        "writes-a-file" => {
            std::fs::write("/var/tmp/cardcage-misbehave", "x").expect("a folder that everybody can write");
        }
        "makes-a-socket" => {
            std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
        }
        "reads-a-clock-and-a-library" => {
            std::fs::read("/etc/ld.so.cache").expect("what the linker reads");
            std::fs::read("/proc/self/status").expect("what a process may know of itself");
        }
        _ => change(action),
    }
}

/// Changes the process, and goes on.
fn change(action: &str) {
    // SAFETY: calls of the C library with valid arguments. What they do to the process is why they are here.
    unsafe {
        match action {
            "changes-its-folder" => {
                std::env::set_current_dir("/usr/lib").expect("a folder that is everywhere");
            }
            "changes-the-umask" => {
                libc::umask(0);
            }
            "changes-the-environment" => std::env::set_var("TZ", "Mars/Olympus"),
            "changes-the-locale" => {
                let name = CString::new("C.UTF-8").expect("no zero inside");
                assert!(
                    !libc::setlocale(libc::LC_ALL, name.as_ptr()).is_null(),
                    "a locale that glibc has built in"
                );
            }
            "flushes-to-zero" => flush_to_zero(),
            "handles-a-signal" => {
                libc::signal(libc::SIGTERM, nothing as *const () as libc::sighandler_t);
            }
            "takes-over-a-handler" => {
                // Rust's runtime has a handler for this one already.
                libc::signal(libc::SIGSEGV, nothing as *const () as libc::sighandler_t);
            }
            "ignores-a-signal" => {
                libc::signal(libc::SIGUSR2, libc::SIG_IGN);
            }
            "blocks-a-signal" => {
                let mut set = std::mem::zeroed();
                libc::sigaddset(&raw mut set, libc::SIGINT);
                libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
            }
            "sets-a-timer" => {
                libc::alarm(3600);
            }
            "lowers-a-limit" => {
                let limit = libc::rlimit { rlim_cur: 64, rlim_max: 64 };
                libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
            }
            "is-nice" => {
                libc::nice(5);
            }
            "replaces-the-signal-stack" => {
                let stack = libc::stack_t {
                    ss_sp: Box::leak(vec![0_u8; 65536].into_boxed_slice()).as_mut_ptr().cast(),
                    ss_flags: 0,
                    ss_size: 65536,
                };
                libc::sigaltstack(&raw const stack, std::ptr::null_mut());
            }
            "leaves-a-file-open" => {
                libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY);
            }
            "closes-all-files" => (0..1024).for_each(|number| {
                libc::close(number);
            }),
            "closes-standard-input" => {
                libc::close(0);
            }
            "writes-to-all-files" => scribble("hello, is this my log?\n"),
            "forges-a-verdict" => scribble("\n{\"passed\":{\"components\":[],\"rungs\":[]}}\n"),
            "starts-a-thread" => {
                std::thread::spawn(|| std::thread::park_timeout(Duration::from_hours(1)));
            }
            other => more::act(other),
        }
    }
}

/// To every descriptor but the standard ones.
fn scribble(text: &str) {
    for number in 3..1024 {
        // SAFETY: writes a text that lives on, to whatever is there.
        unsafe { libc::write(number, text.as_ptr().cast(), text.len()) };
    }
}

fn raise(signal: i32) {
    // SAFETY: a signal to this thread.
    unsafe { libc::raise(signal) };
}

/// The child waits for ever, in a session of its own if it is a daemon.
fn fork(daemon: bool) {
    // SAFETY: the child only makes calls that are allowed after a fork, and never returns.
    unsafe {
        if libc::fork() != 0 {
            return;
        }
        if daemon {
            libc::setsid();
            if libc::fork() != 0 {
                libc::_exit(0);
            }
        }
        loop {
            libc::pause();
        }
    }
}

#[expect(unconditional_recursion, reason = "it is to overflow the stack")]
fn deeper(depth: u64) -> u64 {
    let room = black_box([depth; 512]);
    deeper(room[7] + 1) + black_box(room)[3]
}

extern "C" fn nothing(_: i32) {}

#[cfg(target_arch = "x86_64")]
unsafe fn flush_to_zero() {
    let mut control = 0_u32;
    // SAFETY: reads and sets the control word through a variable.
    unsafe {
        std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut control, options(nostack));
        control |= 1 << 15;
        std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const control, options(nostack));
    }
}

#[cfg(target_arch = "aarch64")]
unsafe fn flush_to_zero() {
    // SAFETY: sets a bit of a register that every thread may set.
    unsafe {
        let control: u64;
        std::arch::asm!("mrs {}, fpcr", out(reg) control);
        std::arch::asm!("msr fpcr, {}", in(reg) control | 1 << 24);
    }
}
