//! What the daemon makes of a child's words and of its end.

#![forbid(unsafe_code)]

use super::{Heard, Message, Verdict};
use crate::loader::process_state::signal_name;
use crate::loader::refusal::{Refusal, Rung};
use crate::loader::vetting::child::SILENCED;
use crate::loader::vetting::report::Step;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

/// How a child ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    /// By itself.
    Ended(ExitStatus),
    /// Past the deadline.
    Overdue {
        /// It waited for a signal to go on.
        stopped: bool,
    },
    /// It said more than there is to say.
    Babbling,
}

/// What it means.
#[derive(Debug)]
pub(super) enum Judged {
    /// All rungs passed.
    Passed(Verdict),
    /// One did not.
    Refused {
        refusal: Refusal,
        /// The component type whose probe it was, by its place, and what the sandbox denied it before.
        denied: Option<(usize, String)>,
    },
}

/// What was said, in order.
#[derive(Debug, Default)]
struct Words {
    /// The last rung that was begun, and how much had been said before.
    at: Option<(Step, usize)>,
    /// From where to where the library was being opened.
    opening: Option<(usize, usize)>,
    /// How many component types' probes were begun.
    probes: usize,
    passed: Option<Verdict>,
    refused: Option<Refusal>,
    /// Bytes that are none of the child's messages.
    foreign: usize,
}

/// Judges.
pub(super) fn judge(path: &Path, heard: &Heard, deadline: Duration) -> Judged {
    let mut words = understand(heard);
    if words.foreign > 0 {
        let found = format!(
            "it wrote {} bytes {} to a descriptor that it did not open",
            words.foreign,
            words.place()
        );
        return refused(no(
            path,
            "scribbled",
            found,
            "a plugin that writes to its own files only",
            "look for writes to fixed descriptor numbers, or to one that was closed before",
        ));
    }
    if let Some(refusal) = words.refused.take() {
        return words.blamed(refusal, heard);
    }
    let place = words.place();
    let refusal = match heard.fate {
        Fate::Ended(status) => {
            // What ends the process after the verdict, a destructor say, would end the daemon's as well.
            if status.code() == Some(heard.secret.exit_code().into())
                && let Some(verdict) = words.passed
            {
                return match words.opening.and_then(|(from, to)| heard.supervisor.denied_call(from, to)) {
                    Some(what) => refused(reached_out(path, &what)),
                    None => Judged::Passed(verdict),
                };
            }
            died(path, status, &place, heard)
        }
        Fate::Overdue { stopped } => overdue(path, stopped, &place, deadline),
        Fate::Babbling => no(
            path,
            "answer",
            format!("the vetting child said more than {} MiB {place}", super::MESSAGES_MAX_BYTES >> 20),
            "schemas and samples that fit",
            "look at the sizes of the schemas that `cardcage plugin inspect` shows",
        ),
    };
    words.blamed(refusal, heard)
}

/// A verdict on other component types than the manifest has.
pub(super) fn other_types(path: &Path) -> Refusal {
    no(
        path,
        "answer",
        "the vetting child speaks of other component types than the manifest".to_owned(),
        "a verdict on each component type",
        "report this as a bug",
    )
}

fn understand(heard: &Heard) -> Words {
    let mut words = Words::default();
    let mut at = 0;
    for line in heard.messages.split_inclusive(|byte| *byte == b'\n') {
        let whole = line.strip_suffix(b"\n");
        match whole.and_then(|line| heard.secret.read(line)) {
            Some(Message::Confined(_)) => {}
            Some(Message::Climbing(step)) => {
                match (step.rung, &mut words.opening) {
                    (Rung::Open, opening) => *opening = Some((at, usize::MAX)),
                    (_, Some((_, end))) => *end = (*end).min(at),
                    (_, None) => {}
                }
                words.probes += usize::from(step.rung == Rung::Probe && !step.component.is_empty());
                words.at = Some((step, at));
            }
            Some(Message::Refused(refusal)) => words.refused = Some(refusal),
            Some(Message::Passed(verdict)) => words.passed = Some(verdict),
            // Cut off by the child's death, unless it does not even begin as ours do.
            None if whole.is_none() && begins(line, heard) => {}
            None => words.foreign += line.len(),
        }
        at += line.len();
    }
    words
}

fn begins(line: &[u8], heard: &Heard) -> bool {
    let secret = heard.secret.to_string();
    let known = line.len().min(secret.len());
    line[..known] == secret.as_bytes()[..known]
}

impl Words {
    fn place(&self) -> String {
        match (&self.at, &self.passed) {
            (_, Some(_)) => "after all rungs, while it was unloaded".to_owned(),
            (Some((Step { rung, component }, _)), None) if component.is_empty() => format!("at {rung}"),
            (Some((Step { rung, component }, _)), None) => format!("at {rung}, component type `{component}`"),
            (None, None) => "before its first rung".to_owned(),
        }
    }

    /// What the sandbox denied in the last step.
    fn denied(&self, heard: &Heard) -> Option<String> {
        self.at.as_ref().and_then(|(_, since)| heard.supervisor.denied_since(*since))
    }

    /// A refusal, and whether the sandbox is to blame: it denied something in the very step that was refused.
    fn blamed(self, mut refusal: Refusal, heard: &Heard) -> Judged {
        let (Some(what), Some((Step { rung, component }, _))) = (self.denied(heard), self.at) else {
            return refused(refusal);
        };
        let ours = refusal.code.as_ref() == "ladder.probe.process-changed";
        if rung == Rung::Probe && !component.is_empty() && !ours {
            return Judged::Refused { refusal, denied: Some((self.probes - 1, what)) };
        }
        let (first, rest) = refusal.found.split_once('\n').unwrap_or((&refusal.found, ""));
        let found = format!("{first}\nbefore that, the sandbox denied {what}\n{rest}");
        refusal.found = found.trim_end().into();
        refused(refusal)
    }
}

fn refused(refusal: Refusal) -> Judged {
    Judged::Refused { refusal, denied: None }
}

/// In the daemon nothing would keep it from that.
fn reached_out(path: &Path, what: &str) -> Refusal {
    Refusal::new(
        Rung::Open,
        "reached-out",
        path,
        format!("while it was being opened it tried what the sandbox denied: {what}"),
        "a library whose loading changes nothing",
        "look at its constructors and at the C libraries that it links; do such things in `open`",
    )
}

fn overdue(path: &Path, stopped: bool, place: &str, deadline: Duration) -> Refusal {
    let found = if stopped {
        format!(
            "it stopped the vetting child {place}, as SIGSTOP does; it had not gone on after {deadline:?}"
        )
    } else {
        format!("after {deadline:?} it was still busy {place}")
    };
    no(
        path,
        "timeout",
        found,
        "a plugin that opens, answers and closes within the deadline",
        "look for endless loops and for waiting on the outside world in what that rung calls",
    )
}

fn died(path: &Path, status: ExitStatus, place: &str, heard: &Heard) -> Refusal {
    if status.code() == Some(SILENCED.into()) {
        return no(
            path,
            "silenced",
            format!("it closed a descriptor that it did not open, {place} or after it"),
            "a plugin that closes its own files only",
            "look for `close` in a loop over all numbers, and for closing twice: the number may be another file's by then",
        );
    }
    let how = match (status.signal(), status.code()) {
        (Some(signal), _) => format!("it ended the vetting child by {} {place}", signal_name(signal)),
        (None, Some(code)) => format!("it ended the vetting child with exit code {code} {place}"),
        (None, None) => format!("the vetting child ended {place}"),
    };
    let words = last_words(&heard.stderr);
    let found = if words.is_empty() { how } else { format!("{how}\nit said: {words}") };
    no(
        path,
        "died",
        found,
        "a plugin that leaves the process alive",
        "run `cardcage plugin check` under a debugger, or look at what that rung calls",
    )
}

/// What it wrote, without stack traces: they are as long as all else, and a debugger shows them better.
fn last_words(stderr: &[u8]) -> String {
    const LINES: usize = 8;
    let text = String::from_utf8_lossy(stderr);
    let told = text.lines().take_while(|line| !line.contains("stack backtrace"));
    let told = told.filter(|line| !line.trim().is_empty() && !line.contains("RUST_BACKTRACE"));
    let lines: Vec<&str> = told.take(LINES).map(str::trim_end).collect();
    lines.join("\n")
}

fn no(path: &Path, what: &str, found: String, expected: &str, help: &str) -> Refusal {
    Refusal::new(Rung::Vetting, what, path, found, expected, help)
}
