//! `anyOf` and `oneOf`: some alternative must take the value, and if none does, the one that was meant says why.

#![forbid(unsafe_code)]

use super::words::in_words;
use super::{About, Check, DEPTH_MAX, Misfit, list};
use serde_json::Value;
use std::cmp::Reverse;

/// How near a value came to an alternative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Near {
    /// Another type, or none of its words.
    Unlike,
    /// The right type, but out of its bounds.
    Like,
    /// What is wrong is further inside.
    Inside,
}

impl<'a> Check<'a> {
    /// Some option must take the value. The one that it seems to be meant for explains what is wrong.
    pub(super) fn one_of(&mut self, options: &'a [Value], value: &mut Value, at: &str, depth: usize) {
        // As it looks before as text: a substituted `80` stays a number where one may stand.
        let retypes =
            if self.retypes && !self.substituted.is_empty() { &[false, true][..] } else { &[self.retypes] };
        for retypes in retypes {
            if options.iter().any(|option| self.takes(option, value, at, depth, *retypes)) {
                return;
            }
        }
        let trials = options.iter().map(|option| {
            let mut trial = self.trial(self.retypes);
            trial.value(option, &mut value.clone(), at, depth);
            let inside = trial.problems.iter().any(|problem| problem.setting.len() > at.len());
            let near = if inside {
                Near::Inside
            } else if trial.unlike {
                Near::Unlike
            } else {
                Near::Like
            };
            (near, trial.problems)
        });
        // Of equally near ones the first.
        let nearest = trials.min_by_key(|(near, _)| Reverse(*near));
        if let Some((Near::Inside | Near::Like, problems)) = nearest {
            for Misfit { setting, about, message, help } in problems {
                self.misfit(&setting, about, message, help);
            }
        } else {
            self.unlike = true;
            self.none_of(options, value, at);
        }
    }

    fn trial(&self, retypes: bool) -> Self {
        let Self { root, substituted, steps, .. } = *self;
        Self { root, substituted, steps, retypes, problems: Vec::new(), unlike: false }
    }

    /// Whether the option takes the value, which then is as the option wants it.
    fn takes(&self, option: &'a Value, value: &mut Value, at: &str, depth: usize, retypes: bool) -> bool {
        let mut trial = self.trial(retypes);
        let mut fitted = value.clone();
        trial.value(option, &mut fitted, at, depth);
        let takes = trial.problems.is_empty();
        if takes {
            *value = fitted;
        }
        takes
    }

    fn none_of(&mut self, options: &'a [Value], value: &Value, at: &str) {
        let mut consts = Vec::new();
        let mut types = Vec::new();
        for option in options {
            self.summarize(option, &mut consts, &mut types, 0);
        }
        if types.is_empty() && !consts.is_empty() {
            return self.not_among(value, &consts, at);
        }
        let mut words: Vec<String> = types.into_iter().map(str::to_owned).collect();
        words.extend(consts.iter().map(|value| format!("`{}`", super::words::plain(value))));
        let message = format!("{} was found; {} is expected", self.found(value, at), words.join(" or "));
        let plain = (value.is_number() || value.is_boolean()) && words.iter().any(|word| word == "text");
        let help = plain.then(|| format!("put quotes around it: `\"{value}\"`"));
        self.misfit(at, About::Value, message, help.filter(|_| !self.substituted.contains_key(at)));
    }

    fn summarize(
        &self,
        option: &'a Value,
        consts: &mut Vec<&'a Value>,
        types: &mut Vec<&'static str>,
        depth: usize,
    ) {
        let Value::Object(rules) = option else { return };
        self.steps.set(self.steps.get() + 1);
        if depth > DEPTH_MAX || self.steps.get() > super::STEPS_MAX {
            return;
        }
        if let Some(target) = rules.get("$ref").and_then(Value::as_str).and_then(|name| self.resolve(name)) {
            return self.summarize(target, consts, types, depth + 1);
        }
        match (rules.get("enum"), rules.get("const")) {
            (Some(Value::Array(values)), _) => return consts.extend(values),
            (_, Some(only)) => return consts.push(only),
            _ => {}
        }
        for key in ["anyOf", "oneOf"] {
            for part in list(rules, key) {
                self.summarize(part, consts, types, depth + 1);
            }
        }
        let names = rules.get("type").into_iter().flat_map(|names| match names {
            Value::Array(several) => several.as_slice(),
            one => std::slice::from_ref(one),
        });
        for name in names.filter_map(Value::as_str).filter(|name| *name != "null") {
            if !types.contains(&in_words(name)) {
                types.push(in_words(name));
            }
        }
    }
}
