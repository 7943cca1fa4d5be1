//! Is the pipeline well? What its state says, in one word and with reasons.

use super::Phase;
use super::view::{ComponentState, View};
use std::fmt;
use std::time::Duration;

/// How long the control loop may be silent: it turns ten times a second, so this is no busy machine any more.
const CONTROL_SILENT_MAX: Duration = Duration::from_secs(5);

/// The share of the dictionary that may be full before it is worth a warning, in percent.
const DICTIONARY_FULL_PERCENT: u128 = 80;

/// In one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ruling {
    /// Everything works, and every record is explained.
    Healthy,
    /// Records flow, but something deserves a look.
    Degraded,
    /// Some component hangs or has failed for good.
    Failing,
}

impl fmt::Display for Ruling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Failing => "failing",
        })
    }
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// How bad it is.
    pub ruling: Ruling,
    /// The component, if it is one.
    pub component: Option<String>,
    /// What is wrong: `hung`, `failed`, `restarting`, `unexplained`, `violations`, `claims`, `dictionary`, `imbalance`,
    /// `trail` or `control`.
    pub what: &'static str,
    /// In a sentence, without the component's name.
    pub message: String,
}

/// The health of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// The worst of the reasons; healthy if there are none.
    pub ruling: Ruling,
    /// Whether the process does its work: no call hangs, and the control loop turns. Where it does not, only a restart of
    /// the process helps.
    pub live: bool,
    /// Whether records flow through every lane: live, not draining, and nothing has failed for good or is being started
    /// again.
    pub ready: bool,
    /// Everything that is not as it should be.
    pub reasons: Vec<Reason>,
}

impl Health {
    /// What a view says.
    pub fn of(view: &View) -> Self {
        let mut reasons = Vec::new();
        if view.control_silent > CONTROL_SILENT_MAX && view.phase != Phase::Ended {
            let message = format!("the control loop has not turned for {} s", view.control_silent.as_secs());
            reasons.push(Reason { ruling: Ruling::Failing, component: None, what: "control", message });
        }
        components(view, &mut reasons);
        books(view, &mut reasons);
        dictionary(view, &mut reasons);
        if let Some(why) = &view.trail.stuck {
            let message = format!("the audit trail cannot be written, so its entries are merged: {why}");
            reasons.push(Reason { ruling: Ruling::Degraded, component: None, what: "trail", message });
        }
        let has = |what: &[&str]| reasons.iter().any(|reason| what.contains(&reason.what));
        let live = !has(&["control", "hung"]);
        let running = view.phase == Phase::Running && view.lanes_running > 0;
        let ready = live && running && !has(&["failed", "restarting"]);
        let ruling = reasons.iter().map(|reason| reason.ruling).max().unwrap_or(Ruling::Healthy);
        Self { ruling, live, ready, reasons }
    }
}

fn components(view: &View, reasons: &mut Vec<Reason>) {
    for component in &view.components {
        let mut note = |ruling, what, message| {
            reasons.push(Reason { ruling, component: Some(component.name.clone()), what, message });
        };
        match &component.state {
            ComponentState::Hung { call, running } => {
                let message =
                    format!("`{call}` has not returned for {} s, past its deadline", running.as_secs());
                note(Ruling::Failing, "hung", message);
            }
            ComponentState::Failed(why) => note(Ruling::Failing, "failed", format!("failed for good: {why}")),
            ComponentState::Restarting => {
                note(Ruling::Degraded, "restarting", "a call failed; it is being started again".to_owned());
            }
            // Why it was stopped is said of what is behind it.
            ComponentState::Running | ComponentState::Finished | ComponentState::Stopped => {}
        }
        if component.unexplained > 0 {
            let message = format!("its own numbers miss {} records", component.unexplained);
            note(Ruling::Degraded, "unexplained", message);
        }
        if component.violations > 0 {
            let message = format!("{} writes to its metrics broke a declared rule", component.violations);
            note(Ruling::Degraded, "violations", message);
        }
        for claim in view.claims.iter().filter(|claim| claim.component == component.name && claim.is_false) {
            let message = format!(
                "its metric `{}` says {}, the host counted {}",
                claim.metric, claim.claimed, claim.counted
            );
            note(Ruling::Degraded, "claims", message);
        }
    }
}

fn books(view: &View, reasons: &mut Vec<Reason>) {
    if !view.of_one_moment {
        return;
    }
    // A component whose own numbers are off is named already.
    let named = |text: &str| {
        let unexplained = view.components.iter().filter(|component| component.unexplained > 0);
        unexplained.into_iter().any(|component| text.contains(&format!("`{}`", component.name)))
    };
    let any_unexplained = view.components.iter().any(|component| component.unexplained > 0);
    for imbalance in view.books.imbalances() {
        let message = imbalance.to_string();
        let whole = matches!(imbalance.who, cardcage_core::ledger::Who::Pipeline);
        if named(&message) || (whole && any_unexplained) {
            continue;
        }
        reasons.push(Reason { ruling: Ruling::Degraded, component: None, what: "imbalance", message });
    }
}

fn dictionary(view: &View, reasons: &mut Vec<Reason>) {
    let dictionary = view.dictionary;
    let kinds = [
        ("sensors", dictionary.sensors, dictionary.sensors_max),
        ("units", dictionary.units, dictionary.units_max),
    ];
    for (what, have, most) in kinds {
        if have as u128 * 100 >= most as u128 * DICTIONARY_FULL_PERCENT {
            let message = format!(
                "the dictionary has {have} of {most} {what}; past that, readings are rejected: raise `limits.{what}`"
            );
            reasons.push(Reason { ruling: Ruling::Degraded, component: None, what: "dictionary", message });
        }
    }
}
