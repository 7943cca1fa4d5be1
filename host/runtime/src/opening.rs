//! Who watches the opening of components: it happens before any lane runs, on the thread that would otherwise watch.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often the running `open` is compared with its deadline.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What is being opened.
#[derive(Debug)]
enum State {
    /// Nothing just now.
    Between,
    /// This component, since then, with this deadline.
    Open(String, Instant, Duration),
    /// A component that was said to be overdue.
    Overdue,
    /// All are open.
    Done,
}

/// Says in the log which component does not come back from `open`. It cannot be ended from outside.
#[derive(Debug)]
pub(crate) struct Opening {
    shared: Arc<(Mutex<State>, Condvar)>,
}

impl Opening {
    /// Starts to watch. Without a thread to do it (the system has no more) nothing is watched.
    pub(crate) fn watch() -> Self {
        let shared = Arc::new((Mutex::new(State::Between), Condvar::new()));
        let watched = Arc::clone(&shared);
        // An error leaves the opening unwatched; the lanes' own threads will say that there are no more.
        let _ = std::thread::Builder::new().name("opening".to_owned()).spawn(move || look(&watched));
        Self { shared }
    }

    /// A component is about to be opened.
    pub(crate) fn begin(&self, component: &str, deadline: Duration) {
        self.set(State::Open(component.to_owned(), Instant::now(), deadline));
    }

    /// It came back.
    pub(crate) fn end(&self) {
        self.set(State::Between);
    }

    fn set(&self, state: State) {
        *self.shared.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        self.set(State::Done);
        self.shared.1.notify_all();
    }
}

fn look((state, changed): &(Mutex<State>, Condvar)) {
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    while !matches!(*state, State::Done) {
        if let State::Open(component, since, deadline) = &*state
            && since.elapsed() > *deadline
        {
            let component = component.as_str();
            tracing::error!(
                component,
                "`open` is still running past its deadline of {} ms; nothing runs before it comes back; Ctrl-C ends",
                deadline.as_millis()
            );
            *state = State::Overdue;
        }
        state = changed.wait_timeout(state, LOOK_EVERY).unwrap_or_else(PoisonError::into_inner).0;
    }
}
