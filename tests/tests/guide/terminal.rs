//! Commands on a terminal, as a person types them who follows a page.

use e2e::wait_for;
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Large enough that nothing is cut.
const SIZE: Winsize = Winsize { ws_row: 1000, ws_col: 200, ws_xpixel: 0, ws_ypixel: 0 };

/// A command that runs on a terminal of its own.
pub(crate) struct Running {
    child: Child,
    printed: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

/// Starts a command on a new terminal.
pub(crate) fn start(mut command: Command) -> Running {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal can be made");
    grantpt(&master).expect("it can be granted");
    unlockpt(&master).expect("it can be unlocked");
    tcsetwinsize(&master, SIZE).expect("it has a size");
    let name = ptsname(&master, Vec::new()).expect("it has a name");
    let path = std::ffi::OsStr::from_bytes(name.as_bytes());
    let side = || OpenOptions::new().read(true).write(true).open(path).expect("it can be opened");
    let child =
        command.stdin(side()).stdout(side()).stderr(side()).spawn().expect("a command can be started");
    // Else the terminal never ends: the command holds its other side open.
    drop(command);
    let printed = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&printed);
    let reader = std::thread::spawn(move || {
        let mut master = File::from(master);
        let mut bytes = [0; 4096];
        // The end of a terminal is an error.
        while let Ok(len @ 1..) = master.read(&mut bytes) {
            into.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&bytes[..len]);
        }
    });
    Running { child, printed, reader }
}

impl Running {
    /// What was printed so far, without the codes that move the cursor.
    pub(crate) fn printed(&self) -> String {
        let bytes = self.printed.lock().unwrap_or_else(PoisonError::into_inner);
        plain(&String::from_utf8_lossy(&bytes))
    }

    /// What Ctrl-C does.
    pub(crate) fn interrupt(&self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a child has a process number"), Signal::INT)
            .expect("a child can be signalled");
    }

    /// Waits for its end; gives all that was printed and the exit code.
    pub(crate) fn finish(mut self) -> (String, i32) {
        let status =
            wait_for("a command's end", || self.child.try_wait().expect("a child can be waited for"));
        wait_for("the terminal's end", || self.reader.is_finished().then_some(()));
        (self.printed(), status.code().expect("no command ends by a signal"))
    }
}

/// Text without escape sequences and carriage returns.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' if chars.next() == Some('[') => {
                // Up to the letter that says what the sequence does.
                let _ = chars.by_ref().find(char::is_ascii_alphabetic);
            }
            '\u{1b}' | '\r' => {}
            other => plain.push(other),
        }
    }
    plain
}
