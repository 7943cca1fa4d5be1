//! `cardcage audit show`: the entries, one a line.

use super::folder::{Ahead, Reader, Trail, TrailError};
use super::{AuditError, ShowArguments, code_of, verify, words};
use crate::commands::plugin::Format;
use crate::report::say;
use cardcage_core::audit::{Anchor, Note, Record, Remark, Report, Step, Verifier, What, file_name};
use cardcage_core::naming::nearest;
use std::collections::BTreeSet;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;
use std::time::Duration;

/// How long to wait for more at the end of a trail that is followed: short for a person, and nothing for the machine.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The most names that are kept, to say which one may have been meant.
const NAMES_MAX: usize = 10_000;

/// Prints what was asked for.
pub(super) fn run(arguments: &ShowArguments) -> Result<u8, AuditError> {
    let folder = arguments.of.folder()?;
    let mut page = Page::new(arguments);
    let mut verifier = Verifier::new(&[]);
    if arguments.follow {
        follow(&folder, &mut verifier, &mut page)?;
    } else {
        let mut files = Ahead::new(Trail::find(&folder)?);
        while let Some((mut reader, lacks)) = files.next()? {
            if lacks {
                verifier.skip();
            }
            verifier.file(&file_name(reader.number), reader.number);
            reader.finish(|step| {
                verifier.step_with(step, &mut |anchor, record, block| page.record(anchor, record, block));
            })?;
            if !page.is_read {
                return Ok(0);
            }
        }
    }
    page.flush();
    page.say_skipped(verifier.so_far());
    let report = verifier.finish();
    if !arguments.follow
        && let Some(help) = page.unknown()
    {
        return Err(AuditError::UnknownMetric(help));
    }
    if let Some(finding) = report.findings.first() {
        say(&format!(
            "what is printed is not the whole truth: {}: {}; `cardcage audit verify` says more\n",
            finding.place, finding.fault
        ));
    }
    Ok(code_of(&report))
}

/// Goes on with what is written, until nobody reads it.
fn follow(folder: &Path, verifier: &mut Verifier, page: &mut Page<'_>) -> Result<(), TrailError> {
    let mut reader: Option<Reader> = None;
    while page.is_read {
        let next = match Trail::find(folder) {
            Ok(trail) => {
                let last = reader.as_ref().map_or(0, |reader| reader.number);
                trail.files.into_iter().find(|number| *number > last)
            }
            // Somebody follows a daemon that is about to start.
            Err(TrailError::None(_)) => None,
            Err(error) => return Err(error),
        };
        // The next file is begun when the one before is finished, so what is there of that one now is all of it.
        if let Some(reader) = &mut reader {
            let mut each = |step: &Step<'_>| {
                verifier.step_with(step, &mut |anchor, record, block| page.record(anchor, record, block));
            };
            if next.is_some() { reader.finish(&mut each)? } else { reader.grown(&mut each)? }
        }
        if let Some(number) = next {
            let last = reader.as_ref().map(|reader| reader.number);
            let Some(opened) = Reader::open(folder, number)? else {
                // It was removed by retention since it was found.
                continue;
            };
            // Whoever follows more slowly than files go misses some.
            if last.is_some_and(|last| number > last + 1) {
                verifier.skip();
            }
            verifier.file(&file_name(number), number);
            reader = Some(opened);
        } else {
            page.flush();
            page.say_skipped(verifier.so_far());
            std::thread::sleep(LOOK_EVERY);
        }
    }
    Ok(())
}

/// What is printed.
struct Page<'a> {
    arguments: &'a ShowArguments,
    out: BufWriter<io::StdoutLock<'static>>,
    /// Somebody reads it (`| head` stops).
    is_read: bool,
    /// How many places were said to have been removed unread.
    skipped: usize,
    components: BTreeSet<String>,
    metrics: BTreeSet<String>,
}

impl<'a> Page<'a> {
    fn new(arguments: &'a ShowArguments) -> Self {
        let out = BufWriter::new(io::stdout().lock());
        let (components, metrics) = (BTreeSet::new(), BTreeSet::new());
        Self { arguments, out, is_read: true, skipped: 0, components, metrics }
    }

    /// Says what was removed before it could be read, once.
    fn say_skipped(&mut self, report: &Report) {
        let skipped = report.remarks.iter().filter(|remark| matches!(remark, Remark::Skipped { .. }));
        for remark in skipped.skip(self.skipped) {
            self.skipped += 1;
            say(&format!("not all is printed: {}\n", verify::remark(remark)));
        }
    }

    /// Notes which names there are.
    fn name(&mut self, component: &str, metric: &str) {
        for (names, name) in [(&mut self.components, component), (&mut self.metrics, metric)] {
            if names.len() < NAMES_MAX && !names.contains(name) {
                names.insert(name.to_owned());
            }
        }
    }

    /// What was asked for and is not there, if the trail has other names.
    fn unknown(&self) -> Option<String> {
        let asked = [
            ("component", &self.arguments.component, &self.components),
            ("metric", &self.arguments.metric, &self.metrics),
        ];
        let (what, name, names) = asked.into_iter().find_map(|(what, name, names)| {
            Some((what, name.as_ref()?, names))
                .filter(|(_, name, names)| !names.is_empty() && !names.contains(*name))
        })?;
        let near = nearest(name, names.iter().map(String::as_str));
        let help = near.map_or_else(
            || format!("`cardcage audit explain {name}` lists the metrics that there are"),
            |near| format!("did you mean `{near}`?"),
        );
        Some(format!("the trail has no {what} `{name}`; {help}"))
    }

    fn record(&mut self, anchor: &Anchor, record: &Record, block: u64) {
        let line = match record {
            Record::Entry(entry) => {
                let declaration = anchor.declaration(entry.cell);
                let asked = self.is_asked(
                    declaration.map(|declaration| declaration.component.as_str()),
                    declaration.map(|declaration| declaration.metric.as_str()),
                );
                let is_violation = matches!(entry.what, What::Violation { .. });
                if !asked || !self.is_in_time(entry.time_ns) || (self.arguments.violations && !is_violation) {
                    return;
                }
                match self.arguments.format {
                    Format::Text => words::entry(anchor, entry),
                    Format::Json => words::entry_json(anchor, entry, block).to_string(),
                }
            }
            Record::Note { time_ns, note } => {
                let asked = match note {
                    Note::Undeclared { component, metric, .. } => {
                        self.name(component, metric);
                        self.is_asked(Some(component), Some(metric))
                    }
                    // The marks of runs concern every metric, and no violation.
                    _ => !self.arguments.violations,
                };
                if !asked || !self.is_in_time(*time_ns) {
                    return;
                }
                let line = match self.arguments.format {
                    Format::Text => {
                        words::note(note).map(|words| format!("{}  -- {words}", super::when::show(*time_ns)))
                    }
                    Format::Json => words::note_json(*time_ns, note, block).map(|json| json.to_string()),
                };
                let Some(line) = line else {
                    return;
                };
                line
            }
            Record::Declaration(of) => return self.name(&of.component, &of.metric),
            Record::Writer(_) | Record::Balance(_) => return,
        };
        self.is_read &= writeln!(self.out, "{line}").is_ok();
    }

    fn is_asked(&self, component: Option<&str>, metric: Option<&str>) -> bool {
        let fits = |asked: Option<&str>, found| asked.is_none() || asked == found;
        fits(self.arguments.component.as_deref(), component) && fits(self.arguments.metric.as_deref(), metric)
    }

    fn is_in_time(&self, time_ns: i64) -> bool {
        self.arguments.since.is_none_or(|since| time_ns >= since.0)
            && self.arguments.until.is_none_or(|until| time_ns <= until.0)
    }

    fn flush(&mut self) {
        self.is_read &= self.out.flush().is_ok();
    }
}
