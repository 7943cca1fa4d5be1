//! Shapes and defaults as the reference and editors show them.

use super::{Absent, Shape};
use crate::config::quantity::{show_duration, show_size};
use std::fmt;

impl fmt::Display for Shape {
    /// In Markdown: `size`, with its bounds in backticks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version => f.write_str("`1`"),
            Self::Mapping | Self::Settings => f.write_str("mapping"),
            Self::Components => f.write_str("components by name"),
            Self::Path => f.write_str("path"),
            Self::Paths => f.write_str("list of paths"),
            Self::Hashes => f.write_str("list of SHA-256 hashes (64 hex digits)"),
            Self::Octal => f.write_str("octal digits, `0000` to `0777`"),
            Self::Text(what) => f.write_str(what),
            Self::Words(words) => {
                let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
                match quoted.split_last() {
                    Some((last, rest)) if !rest.is_empty() => write!(f, "{} or {last}", rest.join(", ")),
                    _ => f.write_str(&quoted.join("")),
                }
            }
            Self::Count(least, most) => write!(f, "whole number, {least} to {most}"),
            Self::Duration(least, most) => {
                write!(f, "duration, `{}` to `{}`", show_duration(*least), show_duration(*most))
            }
            Self::Size(least, most) => write!(f, "size, `{}` to `{}`", show_size(*least), show_size(*most)),
            Self::Plugin => f.write_str("`NAME[/TYPE][@VERSION]`"),
            Self::Inputs => f.write_str("list of `COMPONENT` or `COMPONENT.PORT`"),
            Self::Tags => f.write_str("mapping of text"),
            Self::Sink => f.write_str("name of a sink"),
        }
    }
}

impl fmt::Display for Absent {
    /// In Markdown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Required => f.write_str("required"),
            Self::Nothing => f.write_str("none"),
            Self::Value(value) => write!(f, "`{value}`"),
            Self::Words(words) => f.write_str(words),
        }
    }
}
