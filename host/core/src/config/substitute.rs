//! Substitution: `${VAR}`, `${VAR:-default}`, `${file:PATH}` and `${credential:NAME}` in parsed scalars.
//!
//! It works on scalars of the tree and never on raw text, so that no value can add keys or lines. What came out is
//! typed as if it had been written plain, and is not looked at again: a value with `${` in it stays as it is.
//! `$${` stands for `${`.

use super::Environment;
use crate::codes;
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::yaml::{Brought, Node, Origin, Scalar, Value, clipped, type_of};

/// The most text that all substitutions together may bring in; certificates are the largest that people use.
const SUBSTITUTED_MAX_BYTES: usize = 10 * 1024 * 1024;

const FORMS: &str = "known are `${VAR}`, `${VAR:-default}`, `${file:PATH}` and `${credential:NAME}`; write `$${` for a \
                     literal `${`";

/// Substitutes in all scalars of the tree.
pub(super) fn substitute(
    file: &str,
    node: &mut Node,
    environment: &dyn Environment,
    problems: &mut Diagnostics,
) {
    let mut pass = Pass { file, environment, problems, brought_bytes: 0 };
    pass.node(node);
}

struct Pass<'a> {
    file: &'a str,
    environment: &'a dyn Environment,
    problems: &'a mut Diagnostics,
    brought_bytes: usize,
}

impl Pass<'_> {
    fn node(&mut self, node: &mut Node) {
        let span = node.span;
        match &mut node.value {
            Value::Sequence(items) => items.iter_mut().for_each(|item| self.node(item)),
            Value::Mapping(entries) => entries.iter_mut().for_each(|entry| self.node(&mut entry.node)),
            Value::Scalar(scalar) if scalar.text.contains("${") => {
                if let Err(problem) = self.scalar(scalar) {
                    self.problems.push((*problem).at(span.in_file(self.file)));
                    scalar.origin =
                        Some(Origin { written: scalar.text.clone(), failed: true, brought: Vec::new() });
                }
            }
            Value::Scalar(_) => {}
        }
    }

    fn scalar(&mut self, scalar: &mut Scalar) -> Result<(), Box<Diagnostic>> {
        let mut text = String::new();
        let mut substituted = false;
        let mut brought = Vec::new();
        let mut rest = scalar.text.as_str();
        while let Some(at) = rest.find("${") {
            if rest[..at].ends_with('$') {
                text.push_str(&rest[..at]);
                text.push('{');
                rest = &rest[at + 2..];
                continue;
            }
            text.push_str(&rest[..at]);
            let inside = &rest[at + 2..];
            let Some(end) = inside.find('}') else {
                let message = format!("`{}` has no closing `}}`", clipped(&rest[at..]));
                return Err(refused(codes::BAD_SUBSTITUTION, message, FORMS));
            };
            let (came, from) = self.expression(&inside[..end])?;
            substituted = true;
            text.push_str(&came);
            if from == From::Outside {
                brought.push(Brought { written: rest[at..=at + 2 + end].to_owned(), text: came });
            }
            rest = &inside[end + 1..];
        }
        text.push_str(rest);
        if !substituted {
            scalar.text = text;
            return Ok(());
        }
        self.brought_bytes += text.len();
        if self.brought_bytes > SUBSTITUTED_MAX_BYTES {
            let message = format!("all substitutions together bring more than {SUBSTITUTED_MAX_BYTES} bytes");
            return Err(refused(codes::TOO_MUCH, message, "is this the right file?"));
        }
        scalar.typed = type_of(&text);
        let written = std::mem::replace(&mut scalar.text, text);
        scalar.origin = Some(Origin { written, failed: false, brought });
        Ok(())
    }

    /// What stands between `${` and `}`.
    fn expression(&self, inside: &str) -> Result<(String, From), Box<Diagnostic>> {
        if let Some(path) = inside.strip_prefix("file:") {
            let text = content(self.environment.file(path), &format!("file `{}`", clipped(path)))?;
            return Ok((text, From::Outside));
        }
        if let Some(name) = inside.strip_prefix("credential:") {
            if !is_credential_name(name) {
                let message = format!("`{}` is no name of a credential", clipped(name));
                let help = "credentials are named with letters, digits, `.`, `-` and `_`";
                return Err(refused(codes::BAD_SUBSTITUTION, message, help));
            }
            let text = content(self.environment.credential(name), &format!("credential `{name}`"))?;
            return Ok((text, From::Outside));
        }
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        if !is_variable_name(name) {
            let message = format!("`${{{}}}` is no substitution", clipped(inside));
            return Err(refused(codes::BAD_SUBSTITUTION, message, FORMS));
        }
        let value = self.environment.variable(name);
        // As in a shell, `:-` also stands in for a variable that is set to nothing.
        let text = match (value, default) {
            (Some(value), None) => (value, From::Outside),
            (Some(value), Some(_)) if !value.is_empty() => (value, From::Outside),
            // The first `}` ends the substitution, so another one cannot stand inside.
            (_, Some(default)) if default.contains("${") => {
                let message = format!("the default of `{name}` holds another `${{`");
                return Err(refused(
                    codes::BAD_SUBSTITUTION,
                    message,
                    "write one substitution, or put both beside each other",
                ));
            }
            (_, Some(default)) => (default.to_owned(), From::File),
            (None, None) => {
                let message = format!("the environment variable `{name}` is not set");
                let help = format!("set it, or write `${{{name}:-default}}`");
                return Err(refused(codes::UNSET_VARIABLE, message, &help));
            }
        };
        Ok(text)
    }
}

/// Where a text stood.
#[derive(PartialEq, Eq)]
enum From {
    /// In the config, for everyone to read: a default.
    File,
    Outside,
}

fn content(content: Result<String, String>, what: &str) -> Result<String, Box<Diagnostic>> {
    let content = content.map_err(|reason| {
        let message = format!("{what} cannot be read: {}", clipped(&reason));
        refused(codes::UNREADABLE, message, "is it there, and may the daemon read it?")
    })?;
    // Editors and `echo` end a file with a line end that nobody means as part of a password.
    let text = content.strip_suffix('\n').unwrap_or(&content);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

fn refused(code: Code, message: String, help: &str) -> Box<Diagnostic> {
    Box::new(Diagnostic::error(code, message).help(help))
}

fn is_variable_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// As systemd has it: a file name, never a path.
fn is_credential_name(name: &str) -> bool {
    !name.is_empty()
        && name != "."
        && name != ".."
        && name.len() <= 255
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}
