//! `cardcage audit verify`: whether the trail can be believed, and what of it.

use super::aside::SetAside;
use super::folder::{News, Trail};
use super::words::counted;
use super::{AuditError, VerifyArguments, code_of, when};
use crate::commands::plugin::Format;
use crate::exit;
use crate::report::answer;
use cardcage_core::audit::{AsideHead, FoundHead, Place, Remark, Report, Segment, Verifier, file_name};
use serde_json::{Value as Json, json};
use std::fmt::Write as _;

/// Proves a trail.
pub(super) fn run(arguments: &VerifyArguments) -> Result<u8, AuditError> {
    let folder = arguments.of.folder()?;
    let begin = || Verifier::new(&arguments.head);
    let (trail, verifier) = Trail::walk(&folder, begin, |verifier, news| match news {
        News::File(number) => verifier.file(&file_name(number), number),
        News::Step(step) => verifier.step(step),
    })?;
    let report = verifier.finish();
    let aside = SetAside::look(&trail, &report)?;
    match arguments.format {
        Format::Text => answer(&text(&trail, &report, &aside)),
        Format::Json => answer(&format!("{}\n", json(&trail, &report, &aside))),
    }
    Ok(if aside.is_damaged() { exit::DATA } else { code_of(&report) })
}

fn text(trail: &Trail, report: &Report, aside: &SetAside) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write!(out, "{}", overview(trail, report));
    for remark in &report.remarks {
        let _ = writeln!(out, "note: {}", self::remark(remark));
    }
    for name in &trail.strange {
        let _ = writeln!(
            out,
            "note: {name} is no regular file, and not looked at; the daemon's next start sets it aside"
        );
    }
    out.push_str(&aside.text());
    out.push_str(&damage(report, aside));
    out.push_str(&verdict(report));
    out
}

/// Everything that is wrong, one thing a line.
pub(super) fn damage(report: &Report, aside: &SetAside) -> String {
    let mut out = String::new();
    for finding in &report.findings {
        let _ = writeln!(out, "DAMAGED: {}: {}", finding.place, finding.fault);
    }
    if report.more_findings > 0 {
        let _ = writeln!(out, "DAMAGED: and in {} more places", report.more_findings);
    }
    for head in report.heads.iter().filter(|head| head.block.is_none()) {
        let _ = match aside.head(head.hash) {
            Some(found) => writeln!(out, "DAMAGED: {}", in_aside(found)),
            None => writeln!(
                out,
                "DAMAGED: no block has the hash {}: the end of the trail was cut off, its chain was written anew, or this \
                 is another trail{}",
                head.hash,
                or(report, aside)
            ),
        };
    }
    out
}

/// What a head proves of what was set aside.
fn in_aside(found: &AsideHead) -> String {
    let AsideHead { head, file, proves_from } = found;
    let proves = if *proves_from == head.block {
        "that block".to_owned()
    } else {
        format!("blocks {proves_from} to {}", head.block)
    };
    format!(
        "the hash {} is that of block {} in {file}, which was set aside; it proves {proves} there, and not the trail that goes \
         on without it",
        head.hash, head.block
    )
}

/// What else may be the reason for a head that is not there.
fn or(report: &Report, aside: &SetAside) -> String {
    let mut out = match report.seen.first_block {
        Some(first @ 2..) => {
            format!("; or the hash is that of a block before {first}, which retention has removed")
        }
        _ => String::new(),
    };
    if aside.is_damaged() {
        out.push_str("; or it is that of a damaged block which was set aside");
    }
    out
}

fn overview(trail: &Trail, report: &Report) -> String {
    let seen = &report.seen;
    let (files, blocks) = (counted(seen.files, "file"), counted(seen.blocks, "block"));
    let span = seen
        .time_ns
        .map_or_else(String::new, |(from, to)| format!(", from {} to {}", when::show(from), when::show(to)));
    let (runs, cells) = (counted(seen.runs, "run"), counted(seen.cells, "cell"));
    let (entries, writes) = (counted(seen.entries, "change"), counted(seen.writes, "write"));
    let refused = match seen.violations {
        0 => "no write was refused".to_owned(),
        1 => "1 write was refused by a rule".to_owned(),
        several => format!("{several} writes were refused by rules"),
    };
    format!(
        "audit trail in {}: {files}, {blocks}, {} bytes{span}\n{runs}, {cells}, {entries} that stand for {writes}; {refused}\n",
        trail.folder.display(),
        seen.bytes,
    )
}

/// What holds, in the last lines.
pub(super) fn verdict(report: &Report) -> String {
    let Some(last) = report.seen.last else {
        return "there is no whole block in it, and so nothing to prove\n".to_owned();
    };
    if report.is_damaged() {
        let segments = report.segments.iter().map(segment).collect::<Vec<_>>();
        return format!("what can still be proven:\n{}", segments.concat());
    }
    let proven = report.segments.last().and_then(|segment| segment.proven_to);
    let what = match proven {
        Some(block) if block == last.block => format!("intact, and proven to its end, block {block}"),
        Some(block) => format!("intact to block {}, proven to block {block}, end not proven", last.block),
        None => format!("intact to block {}, end not proven", last.block),
    };
    let open = if proven == Some(last.block) { "" } else { NOT_PROVEN };
    format!("{what}\n{CHECKED}{open}  head: {last}\n")
}

const CHECKED: &str = "  checked: each block follows from the one before, each change begins where the one before ended, all sums agree\n";
const NOT_PROVEN: &str = "  not proven: that nothing was cut off at the end, and that the chain was not written anew; a head that was kept\n  \
    elsewhere proves that: give the last `audit head` of the log as `--head HASH`\n";

fn segment(segment: &Segment) -> String {
    let Segment { first, last, proven_to } = *segment;
    let blocks = if first == last.block {
        format!("block {first}")
    } else {
        format!("blocks {first} to {}", last.block)
    };
    match proven_to {
        Some(block) if block == last.block => {
            format!("  {blocks}: unbroken, and proven by the head of block {block}\n")
        }
        Some(block) => format!("  {blocks}: unbroken, and proven up to block {block} by its head\n"),
        None => format!(
            "  {blocks}: unbroken; an `audit head` of one of them, if the log has one, proves those up to it\n"
        ),
    }
}

pub(super) fn remark(remark: &Remark) -> String {
    match remark {
        Remark::Unfinished { place, bytes, at_end: true } => {
            let bytes = counted(*bytes, "byte");
            format!("{place}: {bytes} of a block that is being written, or was when the daemon was ended")
        }
        Remark::Unfinished { place, bytes, at_end: false } => {
            let bytes = counted(*bytes, "byte");
            format!("{place}: {bytes} of a block that was never finished; the chain goes on without it")
        }
        Remark::NotEnded { place } => {
            format!(
                "{place}: a run begins here, and the one before did not say that it ended: it was killed, or crashed"
            )
        }
        Remark::SetAside { files, why } => {
            format!("a part of the trail was damaged ({why}); it was set aside as {files}")
        }
        Remark::Removed { first_kept } => {
            format!("retention has removed the blocks before {first_kept}, as it says itself")
        }
        Remark::Skipped { from, to } => {
            format!("blocks {from} to {to} were removed before they could be read")
        }
        Remark::Said { text } => format!("the daemon says: {text}"),
    }
}

fn json(trail: &Trail, report: &Report, aside: &SetAside) -> Json {
    let seen = &report.seen;
    let last = seen.last.map(|last| json!({ "block": last.block, "hash": last.hash.to_string() }));
    let findings = report.findings.iter().map(|finding| {
        let Place { file, offset, block } = &finding.place;
        json!({ "file": file, "offset": offset, "block": block, "what": finding.fault.to_string() })
    });
    let segments = report.segments.iter().map(|segment| {
        json!({ "first": segment.first, "last": segment.last.block, "proven_to": segment.proven_to })
    });
    let heads = report.heads.iter().map(|head| head_json(head, aside));
    let files = aside
        .files
        .iter()
        .map(|file| json!({ "file": file.name, "blocks": file.blocks, "what": file.fault }));
    json!({
        "directory": trail.folder,
        "damaged": report.is_damaged() || aside.is_damaged(),
        "proven": report.is_proven(),
        "head": last,
        "heads_given": heads.collect::<Vec<_>>(),
        "files": seen.files,
        "blocks": seen.blocks,
        "first_block": seen.first_block,
        "bytes": seen.bytes,
        "runs": seen.runs,
        "cells": seen.cells,
        "changes": seen.entries,
        "writes": seen.writes,
        "violations": seen.violations,
        "from": seen.time_ns.map(|(from, _)| when::show(from)),
        "to": seen.time_ns.map(|(_, to)| when::show(to)),
        "findings": findings.collect::<Vec<_>>(),
        "more_findings": report.more_findings,
        "unbroken": segments.collect::<Vec<_>>(),
        "notes": report.remarks.iter().map(remark).collect::<Vec<_>>(),
        "set_aside": trail.set_aside,
        "set_aside_files": files.collect::<Vec<_>>(),
        "strange": trail.strange,
    })
}

fn head_json(given: &FoundHead, aside: &SetAside) -> Json {
    let mut object = json!({ "hash": given.hash.to_string(), "block": given.block });
    if let Some(found) = aside.head(given.hash) {
        object["set_aside"] =
            json!({ "file": found.file, "block": found.head.block, "proves_from": found.proves_from });
    }
    object
}
