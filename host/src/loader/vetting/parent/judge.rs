//! What the daemon makes of a child's words and of its end.

#![forbid(unsafe_code)]

use super::{Heard, Message};
use crate::loader::process_state::signal_name;
use crate::loader::refusal::{Refusal, Rung};
use crate::loader::vetting::Told;
use crate::loader::vetting::child::{FILE_MAX_BYTES, SILENCED, UNREADY};
use crate::loader::vetting::report::Step;
use cardcage_core::verdict::Verdict;
use rustix::process::Signal;
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
    /// The last rung that was begun.
    at: Option<Begun>,
    /// From where to where the library was being opened.
    opening: Option<(usize, usize)>,
    /// How many component types' probes were begun.
    probes: usize,
    passed: Option<Verdict>,
    refused: Vec<Said>,
    told: Told,
    /// Whether Landlock confines the child and no call is asked about.
    unasked: bool,
    /// Bytes that are none of the child's messages.
    foreign: usize,
}

/// A rung that was begun.
#[derive(Clone, Debug)]
struct Begun {
    step: Step,
    /// How much had been said before.
    from: usize,
    /// Of the probes that were begun, which one it is in or after.
    probe: usize,
}

/// A refusal, and when it came.
#[derive(Debug)]
struct Said {
    refusal: Refusal,
    /// In this step.
    at: Option<Begun>,
    /// When so much had been said.
    to: usize,
}

/// Judges; also gives how far the child came.
pub(super) fn judge(path: &Path, heard: &Heard, deadline: Duration) -> (Judged, Told) {
    let mut words = understand(heard);
    let told = std::mem::take(&mut words.told);
    (words.judged(path, heard, deadline), told)
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

fn unready(path: &Path) -> Refusal {
    no(
        path,
        "no-child",
        "the vetting child could not make itself ready".to_owned(),
        "a child that may open 256 files and lower its own limits",
        "look at the limit on open files (LimitNOFILE= in the unit, `ulimit -n`)",
    )
}

fn unanswered(path: &Path) -> Refusal {
    no(
        path,
        "answer",
        "the vetting child came to its end without a verdict".to_owned(),
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
            Some(Message::Confined(sandbox)) => {
                words.unasked = sandbox.landlock.is_some() && !sandbox.seccomp;
                words.told.sandbox = Some(sandbox);
            }
            Some(Message::Climbing(step)) => words.begin(step, at),
            Some(Message::Refused(refusal)) => {
                words.refused.push(Said { refusal, at: words.at.clone(), to: at });
            }
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
    fn begin(&mut self, step: Step, from: usize) {
        match (step.rung, &mut self.opening) {
            (Rung::Open, opening) => *opening = Some((from, usize::MAX)),
            (_, Some((_, end))) => *end = (*end).min(from),
            (_, None) => {}
        }
        self.probes += usize::from(step.rung == Rung::Probe && !step.component.is_empty());
        self.time(&step);
        self.at = Some(Begun { step, from, probe: self.probes });
    }

    /// The rung before took until now.
    fn time(&mut self, next: &Step) {
        let rungs = &mut self.told.rungs;
        if let Some(Begun { step: last, .. }) = &self.at
            && let Some((_, spent)) = rungs.iter_mut().find(|(rung, _)| *rung == last.rung)
        {
            let took = next.since_us.saturating_sub(last.since_us);
            *spent = Some(spent.unwrap_or(0).saturating_add(took));
        }
        // A rung that is begun again for the next component type goes to the end: it is the one that goes on.
        let before = rungs.iter().position(|(rung, _)| *rung == next.rung).map(|known| rungs.remove(known));
        rungs.push(before.unwrap_or((next.rung, None)));
    }

    fn judged(mut self, path: &Path, heard: &Heard, deadline: Duration) -> Judged {
        if self.foreign > 0 {
            return refused(self.scribbled(path));
        }
        let end = self.end(path, heard, deadline);
        // What becomes of a child after a refusal is that refusal's own consequence, unless another type was begun.
        let another = |said: &Said| match (&said.at, &self.at) {
            (Some(then), Some(now)) => then.probe != now.probe,
            _ => false,
        };
        if let Some(refusal) = end
            && self.refused.last().is_none_or(another)
        {
            self.refused.push(Said { refusal, at: self.at.clone(), to: usize::MAX });
        }
        if self.refused.is_empty() {
            let opened = self.opening.and_then(|(from, to)| heard.supervisor.denied_call(from, to));
            return match (self.passed, opened) {
                (_, Some(what)) => refused(reached_out(path, &what)),
                (Some(verdict), None) => Judged::Passed(verdict),
                // It came to its end, so it either refused or passed.
                (None, None) => refused(unanswered(path)),
            };
        }
        let unasked = self.unasked;
        let mut refusals = Vec::with_capacity(self.refused.len());
        for said in self.refused {
            match said.blamed(heard, unasked) {
                Judged::Refused { refusal, denied: None } => refusals.push(refusal),
                denied => return denied,
            }
        }
        refused(Refusal::first_of(refusals))
    }

    /// What the way in which it ended means, if that was not its proper end.
    fn end(&self, path: &Path, heard: &Heard, deadline: Duration) -> Option<Refusal> {
        let place = self.place();
        match heard.fate {
            Fate::Ended(status) => {
                // What ends the process after the verdict, a destructor say, would end the daemon's as well.
                let own_end = status.code() == Some(heard.secret.exit_code().into());
                let answered = self.passed.is_some() || !self.refused.is_empty();
                if own_end && answered {
                    return None;
                }
                // Nothing of the plugin has run before the first rung is begun.
                if self.at.is_none() && status.code() == Some(UNREADY.into()) {
                    return Some(unready(path));
                }
                // It went its whole way, and nothing of what it said last has come.
                if own_end {
                    return Some(silenced(path, &place));
                }
                Some(died(path, status, &place, heard))
            }
            Fate::Overdue { stopped } => Some(overdue(path, stopped, &place, deadline)),
            Fate::Babbling => Some(no(
                path,
                "answer",
                format!("the vetting child said more than {} MiB {place}", super::MESSAGES_MAX_BYTES >> 20),
                "schemas and samples that fit",
                "look at the sizes of the schemas that `cardcage plugin inspect` shows",
            )),
        }
    }

    fn scribbled(&self, path: &Path) -> Refusal {
        let found =
            format!("it wrote {} bytes {} to a descriptor that it did not open", self.foreign, self.place());
        no(
            path,
            "scribbled",
            found,
            "a plugin that writes to its own files only",
            "look for writes to fixed descriptor numbers, or to one that was closed before",
        )
    }

    fn place(&self) -> String {
        let step = self.at.as_ref().map(|begun| &begun.step);
        match (step, &self.passed) {
            (_, Some(_)) => "after all rungs, while it was unloaded".to_owned(),
            (Some(Step { rung, component, .. }), None) if component.is_empty() => format!("at {rung}"),
            (Some(Step { rung, component, .. }), None) => format!("at {rung}, component type `{component}`"),
            (None, None) => "before its first rung".to_owned(),
        }
    }
}

impl Heard {
    /// The signal that ends a program which writes on past the limit on the size of files.
    fn too_large_a_file(&self) -> Option<String> {
        let Fate::Ended(status) = self.fate else {
            return None;
        };
        (status.signal() == Some(Signal::XFSZ.as_raw()))
            .then(|| format!("a file of more than {} MiB", FILE_MAX_BYTES >> 20))
    }
}

impl Said {
    /// A refusal, and whether the sandbox is to blame: it denied something in the very step that was refused.
    /// `unasked`: Landlock confined it, and no call was asked about.
    fn blamed(self, heard: &Heard, unasked: bool) -> Judged {
        let mut refusal = self.refusal;
        let Some(Begun { step: Step { rung, component, .. }, from, probe }) = self.at else {
            return refused(refusal);
        };
        let too_large = heard.too_large_a_file().filter(|_| self.to == usize::MAX);
        let guessed = (unasked && speaks_of_denial(&refusal.found))
            .then(|| "something: this kernel has no seccomp, so nobody can be asked what".to_owned());
        let denied = heard.supervisor.denied(from, self.to);
        let Some(what) = denied.or(too_large).or(guessed) else {
            if let Some(what) = heard.supervisor.used_up(from, self.to) {
                explain(&mut refusal, &format!("before that, it had used up {what}"));
            }
            return refused(refusal);
        };
        let ours = refusal.code.as_ref() == "ladder.probe.process-changed";
        if rung == Rung::Probe && !component.is_empty() && !ours {
            return Judged::Refused { refusal, denied: Some((probe - 1, what)) };
        }
        explain(&mut refusal, &format!("before that, the sandbox denied {what}"));
        refused(refusal)
    }
}

/// Behind what happened, and before what the plugin said of it.
fn explain(refusal: &mut Refusal, why: &str) {
    let (first, rest) = refusal.found.split_once('\n').unwrap_or((&refusal.found, ""));
    refusal.found = format!("{first}\n{why}\n{rest}").trim_end().into();
}

/// Whether these are the words of a call that was not permitted. Of use only where nobody else can tell.
fn speaks_of_denial(words: &str) -> bool {
    ["PermissionDenied", "Permission denied", "not permitted", "(os error 13)", "(os error 1)"]
        .iter()
        .any(|sign| words.contains(sign))
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
        return silenced(path, place);
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

fn silenced(path: &Path, place: &str) -> Refusal {
    no(
        path,
        "silenced",
        format!("it closed or replaced a descriptor that it did not open, {place} or after it"),
        "a plugin that closes its own files only",
        "look for `close` and `dup2` in a loop over all numbers, and for closing twice: the number may be another file's by then",
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
