//! The ports and reasons that an instance described, and what it did against that.

use crate::describe::Description;
use std::cell::RefCell;

/// The described ports and reasons of an instance, in ABI order, and its slips in the running call.
#[derive(Debug, Default)]
pub(crate) struct Names {
    ports: Vec<String>,
    reasons: Vec<String>,
    slips: RefCell<Slips>,
}

/// What a component did in a call that `describe` did not say; in words, the first of each.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Slips {
    /// It asked for a port that is not there. Its records would look as if nobody consumed them, so the call fails.
    pub(crate) port: Option<String>,
    /// It named a reason that has no count of its own. The host counts those records apart, and calls it a fault.
    pub(crate) reason: Option<String>,
}

impl Names {
    pub(crate) fn of(description: &Description) -> Self {
        Self {
            ports: description.ports.clone(),
            reasons: description.reasons.iter().map(|reason| reason.name.clone()).collect(),
            slips: RefCell::default(),
        }
    }

    /// The place of a port; a slip if it was not described.
    pub(super) fn port(&self, name: &str) -> Option<usize> {
        let place = place(&self.ports, name);
        if place.is_none() {
            let said = || {
                format!("it asked for port `{name}`, which `describe` does not name; {}", named(&self.ports))
            };
            self.slips.borrow_mut().port.get_or_insert_with(said);
        }
        place
    }

    /// The place of a reason in the tally; a slip if it was not described.
    pub(super) fn reason(&self, name: &str) -> Option<usize> {
        let place = place(&self.reasons, name);
        if place.is_none() {
            let said = || {
                format!("it counts for `{name}`, which `describe` does not name; {}", named(&self.reasons))
            };
            self.slips.borrow_mut().reason.get_or_insert_with(said);
        }
        place
    }

    /// The slips since they were last taken.
    pub(crate) fn take_slips(&self) -> Slips {
        self.slips.take()
    }
}

fn place(names: &[String], name: &str) -> Option<usize> {
    names.iter().position(|known| known == name)
}

fn named(names: &[String]) -> String {
    if names.is_empty() {
        return "it names none".to_owned();
    }
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    format!("it names {}", quoted.join(", "))
}
