//! The guides, followed to the letter: their files are written, their commands typed, and what comes is compared with
//! what they show. So they cannot go stale.

#![forbid(unsafe_code)]

mod follow;
mod links;
mod markdown;
mod mistakes;
mod pattern;
mod terminal;

use e2e::{checkout, workspace};
use follow::Person;
use std::fs;

fn page(name: &str) -> String {
    fs::read_to_string(workspace().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn getting_started_works_as_it_is_written() {
    let home = tempfile::tempdir().expect("a temporary folder can be made");
    let clone = home.path().join("cardcage");
    checkout::lay_out(&clone);
    Person::new(clone).follow(&page("docs/getting-started.md"));
}

#[test]
fn a_plugin_comes_of_the_guide_as_it_is_written() {
    let home = tempfile::tempdir().expect("a temporary folder can be made");
    checkout::lay_out(&home.path().join("cardcage"));
    Person::new(home.path().to_owned()).follow(&page("docs/writing-a-plugin.md"));
}
