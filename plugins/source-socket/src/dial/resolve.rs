//! The addresses behind a name. Asking for them can take many seconds and cannot be interrupted, so a thread does it.

use crate::address::HostPort;
use cardcage_plugin_api::{Host, PluginError, Thread};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::mpsc::{Receiver, Sender, channel};

/// How long closing waits for an answer that is under way.
const CLOSE_WAIT_NS: i64 = 2_000_000_000;
/// How many addresses of a name are tried.
const ADDRESSES_MAX: usize = 16;

type Answer = io::Result<Vec<SocketAddr>>;

/// A thread that asks for the addresses behind one name.
pub(super) struct Resolver {
    questions: Sender<()>,
    answers: Receiver<Answer>,
    thread: Thread,
}

impl Resolver {
    pub(super) fn start(host: &Host, target: &HostPort) -> Result<Self, PluginError> {
        let (questions, asked) = channel();
        let (answer, answers) = channel();
        let target = target.clone();
        let thread = host.spawn("resolve", move |_| {
            // Ends when either channel is dropped.
            while asked.recv().is_ok() && answer.send(addresses(&target)).is_ok() {}
            Ok(())
        })?;
        Ok(Self { questions, answers, thread })
    }

    /// Asks; at most one question is under way.
    pub(super) fn ask(&self) {
        // Without the thread no answer comes, which shows as a failure to connect.
        let _ = self.questions.send(());
    }

    /// The answer, once it is there.
    pub(super) fn answer(&self) -> Option<Answer> {
        use std::sync::mpsc::TryRecvError::{Disconnected, Empty};
        match self.answers.try_recv() {
            Ok(answer) => Some(answer),
            Err(Empty) => None,
            Err(Disconnected) => Some(Err(io::Error::other("the thread that asks for addresses has ended"))),
        }
    }

    pub(super) fn close(self, host: &Host) -> Result<(), PluginError> {
        let Self { questions, answers, thread } = self;
        drop((questions, answers));
        thread.join(host.now_ns().saturating_add(CLOSE_WAIT_NS))
    }
}

fn addresses(target: &HostPort) -> Answer {
    let found = (target.host.as_str(), target.port).to_socket_addrs()?;
    Ok(found.take(ADDRESSES_MAX).collect())
}
