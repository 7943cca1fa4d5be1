//! What plugins say of their records, held against what the host counted.
//!
//! A counter is such a claim by its name: `records`, or `records_` and what became of them (`in`, `out`, `created`,
//! `dropped`, `rejected`, `failed`, or a reason that the component describes), each with or without `_total` behind it.
//! The host believes none of them: they are shown beside its own counts.

use super::{Account, ComponentRow, counts};
use cardcage_plugin_api::manifest::Kind;
use serde::Serialize;

/// A plugin's count of records beside the host's.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Claim {
    /// The component.
    pub component: String,
    /// Its metric.
    pub metric: String,
    /// What the metric says.
    pub claimed: f64,
    /// What the host counted.
    pub counted: u64,
    /// By how much the two may differ: records in calls under way, and in failed calls, which a plugin may have counted
    /// or not.
    pub slack: u64,
    /// Whether they differ by more.
    pub is_false: bool,
}

/// Compares a counter with the host's counts from before and after it was read; `None` if its name claims nothing.
/// `in_calls`: records that a call under way may have counted already and the host not yet.
pub fn compare(
    before: &ComponentRow,
    after: &ComponentRow,
    in_calls: u64,
    metric: &str,
    claimed: f64,
) -> Option<Claim> {
    let least = counted(before, metric)?;
    let most = counted(after, metric)?;
    let account = &after.account;
    let slack = [account.in_hand, account.failed, account.dead_lettered, in_calls, before.account.in_hand]
        .into_iter()
        .fold(0, u64::saturating_add);
    // Counts above 2^53 are rounded; so is what a plugin can claim.
    let [low, high] = [least.saturating_sub(slack), most.saturating_add(slack)].map(as_float);
    Some(Claim {
        component: after.name.clone(),
        metric: metric.to_owned(),
        claimed,
        counted: most,
        slack,
        is_false: !(low..=high).contains(&claimed),
    })
}

#[expect(clippy::cast_precision_loss, reason = "compared with a float, which is as rough")]
fn as_float(count: u64) -> f64 {
    count as f64
}

/// What the host counted of what this metric claims to count.
fn counted(row: &ComponentRow, metric: &str) -> Option<u64> {
    let account = &row.account;
    let name = metric.strip_suffix("_total").unwrap_or(metric);
    if name == "records" {
        return Some(match row.kind {
            // What it gave, and what it has read and will give.
            Kind::Source => account.output.saturating_add(account.held),
            Kind::Stage | Kind::Sink => account.input,
        });
    }
    match name.strip_prefix("records_")? {
        "in" => Some(account.input),
        "out" => Some(given(row)),
        "created" => Some(account.created),
        "dropped" => Some(account.dropped_total()),
        "rejected" => Some(account.rejected_total()),
        "failed" => Some(account.failed),
        reason => {
            let mut described = account.dropped.iter().chain(&account.rejected);
            let found: Vec<_> = described.by_ref().filter(|(name, _)| name == reason).cloned().collect();
            (!found.is_empty()).then(|| counts(&found).fold(0, u64::saturating_add))
        }
    }
}

/// What it gave; for a sink what it wrote, which the host counts as out once it is committed.
fn given(row: &ComponentRow) -> u64 {
    let Account { output, held, in_hand, .. } = &row.account;
    match row.kind {
        Kind::Sink => output.saturating_add(held.saturating_sub(*in_hand)),
        Kind::Source => output.saturating_add(*held),
        Kind::Stage => *output,
    }
}
