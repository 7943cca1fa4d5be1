//! Which thread writes: a number for each name, so that a cell can note in one word who wrote to it last.
//!
//! Names are what the trail knows threads by, so threads of one name have one number.

use std::cell::Cell;
use std::sync::{Arc, Mutex, PoisonError};

/// The thread that wrote to a cell that nobody wrote to.
pub(crate) const NOBODY: u32 = 0;
/// A thread that has no number yet; no cell has it.
const UNNUMBERED: u32 = u32::MAX;
/// What all threads are called whose names find no room.
const NOT_KNOWN: u32 = u32::MAX - 1;
/// The most names: far above the threads of a pipeline, for those that plugins start and name as they please.
const NAMES_MAX: usize = 4096;

/// By number, beginning with 1. The process has one list, as it has one set of threads.
static NAMES: Mutex<Vec<Arc<str>>> = Mutex::new(Vec::new());

thread_local! {
    static HERE: Cell<u32> = const { Cell::new(UNNUMBERED) };
}

/// The calling thread's number, if it has one: as cheap as reading a variable.
#[inline]
pub(crate) fn here() -> u32 {
    HERE.with(Cell::get)
}

/// The calling thread's number. The first time, it is given one.
#[cold]
pub(crate) fn number() -> u32 {
    let known = here();
    if known != UNNUMBERED {
        return known;
    }
    let given = number_of(std::thread::current().name().unwrap_or("unnamed"));
    HERE.with(|here| here.set(given));
    given
}

fn number_of(name: &str) -> u32 {
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    let at = names.iter().position(|known| **known == *name).or_else(|| {
        let has_room = names.len() < NAMES_MAX;
        has_room.then(|| {
            names.push(name.into());
            names.len() - 1
        })
    });
    at.and_then(|at| u32::try_from(at + 1).ok()).unwrap_or(NOT_KNOWN)
}

/// The name of the threads with this number.
pub(crate) fn name_of(number: u32) -> Arc<str> {
    let names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    let at = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
    at.and_then(|at| names.get(at)).map_or_else(|| "(not known)".into(), Arc::clone)
}
