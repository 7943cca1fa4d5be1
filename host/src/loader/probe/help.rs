//! What an author does about each refusal of rung 9: the place to change, and the words to write there.

#![forbid(unsafe_code)]

use cardcage_plugin_api::manifest::{Capability, Field, Kind};

/// What a component does and did not declare.
pub(super) enum Lack {
    /// Something that `describe` says and the manifest does not have, in the words of `Capabilities::beyond`.
    Manifest(Vec<String>),
    /// A capability.
    Capability(Capability),
    /// Fields that it writes; none if nobody can tell which.
    Writes(Vec<Field>),
    /// A reason for which records go.
    Reason,
    /// The interval of its ticks, or the capability.
    Ticks,
}

/// The way out for a code of this rung (its last part), for a component type of this kind and name.
pub(super) fn of(code: &str, kind: Kind, name: &str) -> String {
    let list = list(kind, name);
    let fixed = match code {
        "by-sensor" => {
            return format!(
                "keep what is remembered per sensor (a map by `record.sensor`) and inside the instance, or take `parallel_by_sensor` \
                 out of {list} and `describe`"
            );
        }
        "cancellation" => {
            "wait with the host's `wait`, which ends when the pipeline drains, or in short steps between which `cancelled` is asked"
        }
        "contract" => {
            "leave the tables and the buffers to the SDK; what is done by hand must do as docs/abi.md says"
        }
        "endless" => {
            "return `Flow::More` only while there is output left to give; a `finite` source gets probe settings under which it ends soon"
        }
        "failed" => {
            "let the call do its work with any records: reject those that do not fit, `batch.reject`, fail only when nothing can go on, and spell ports as `describe` does"
        }
        "held" => {
            "give out what is left in `finish`, or count it as dropped, and let `held` say how many there are"
        }
        "idle" => "give `Fill::IdleUntil` a time after `out.now_ns()`, or `i64::MAX` to wait for ever",
        "imbalance" => {
            return format!(
                "let records go by `batch.retain` or `retain_or` with a reason, count what is unfit with `batch.reject`, or keep \
                 records back: then add `holds` to {list} and implement `held`"
            );
        }
        "impure" => {
            "look at nothing but the settings in `describe`; clocks, files and counters are for `open`"
        }
        "kept-batch" => "copy the records that are needed later, as `batch.take_all` does",
        "nondeterministic" => {
            return format!(
                "make the output a function of the records and the settings (a `HashMap` has another order each time, clocks \
                 go on), or take `deterministic` out of {list} and `describe`"
            );
        }
        "outside-batch" => {
            "look at no more than `len` records, and push no more than there is room for, as the SDK's own functions do"
        }
        "panicked" => {
            "handle what the message names instead of asserting it; what a sensor sends is not in the plugin's hands"
        }
        "position" => "call `batch.set_position(stream, position)` in each `fill` that gives records",
        "quality" => "set quality by `with` and `with_status`, which leave the other bits at zero",
        "replay" => {
            return format!(
                "let `snapshot` say behind which record it stands and `restore` go there, or take `replayable` out of {list} and \
                 `describe`"
            );
        }
        "settings" => {
            return format!(
                "correct `probe: {{ … }}` in export_plugin!: settings that {kind} `{name}` takes"
            );
        }
        "state" => "save in `snapshot` all that is held or was given, and bring all of it back in `restore`",
        "threads" => "start threads with `host.spawn`, tell them to end in `close`, and join them there",
        "unknown-id" => "take ids from records, or from `host.sensor` and `host.unit`",
        "wrote-delivery" => "copy what is to be changed",
        _ => "correct the plugin",
    };
    fixed.to_owned()
}

/// The way out where `open` failed: the only call of a probe that may need what is not there.
pub(super) fn of_open() -> &'static str {
    "give `probe: { … }` settings under which `open` succeeds anywhere; if it cannot without the outside world, write \
     `probe: none(\"why\")` in export_plugin!"
}

/// The way out where something was not declared.
pub(super) fn declare(lack: &Lack, kind: Kind, name: &str) -> String {
    let list = list(kind, name);
    match lack {
        Lack::Manifest(beyond) => {
            format!("add {} to {list}, or take it out of `describe`", words_of(beyond))
        }
        Lack::Capability(Capability::Drops) => {
            format!(
                "name the reason in `describe`, `.drops(\"why\")` or `.rejects(\"why\")`, and add `drops` to {list}"
            )
        }
        Lack::Capability(Capability::Holds) => format!(
            "say `.does(Capability::Holds)` in `describe`, add `holds` to {list}, and let `held` say how many records there are"
        ),
        Lack::Capability(capability) => {
            let short = capability.name();
            format!(
                "say `.does(Capability::{capability:?})` in `describe` and add `{short}` to {list}, or don't do it"
            )
        }
        Lack::Writes(fields) if fields.is_empty() => format!(
            "say `.writes(Field::…)` in `describe` for each field that it changes and add `writes: […]` to {list}; records that it \
             makes go by `out.create`, with `creates`"
        ),
        Lack::Writes(fields) => {
            let calls: Vec<String> =
                fields.iter().map(|field| format!(".writes(Field::{field:?})")).collect();
            let names: Vec<String> = fields.iter().map(|field| format!("{field:?}").to_lowercase()).collect();
            format!(
                "say `{}` in `describe` and add `writes: [{}]` to {list}, or leave it alone",
                calls.concat(),
                names.join(", ")
            )
        }
        Lack::Reason => format!(
            "name the reason in `describe` as the code spells it, `.drops(\"why\")` or `.rejects(\"why\")`; `drops` stands in {list}"
        ),
        Lack::Ticks => {
            format!("give the interval by `.tick_every(…)` in `describe`, and add `ticks` to {list}")
        }
    }
}

/// Where capabilities stand: the manifest has the type's name, which is not that of its struct.
fn list(kind: Kind, name: &str) -> String {
    format!("the braces of {kind} `{name}` in export_plugin!")
}

/// `` `creates` and `writes: [value]` ``.
fn words_of(beyond: &[String]) -> String {
    let words: Vec<String> = beyond
        .iter()
        .map(|one| match one.split_once(' ') {
            Some(("writes", field)) => format!("`writes: [{field}]`"),
            Some(("threads", count)) => format!("`threads: {}`", count.split(' ').next().unwrap_or(count)),
            _ => format!("`{one}`"),
        })
        .collect();
    words.join(" and ")
}
