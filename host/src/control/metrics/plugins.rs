//! Plugins' own metrics: their names and units as Prometheus wants them.
//!
//! A plugin's metric `fill_level` becomes `cardcage_plugin_KIND_PLUGIN_fill_level`, with the unit's word behind it and the
//! component as a label. Names come from plugins, so everything that is no letter, digit or underscore becomes one.

use super::exposition::{Exposition, Type};
use cardcage_plugin_api::manifest::MetricKind;
use cardcage_runtime::{ComponentView, MetricReading, View};
use std::collections::BTreeMap;

/// One family: its metric in each component that has it.
struct Family<'a> {
    of: MetricKind,
    unit: Unit,
    help: &'a str,
    readings: Vec<(&'a str, &'a MetricReading)>,
}

/// A unit as Prometheus has it: the word behind the name, and what to multiply by, so that it is a base unit.
#[derive(Clone, Debug, PartialEq)]
struct Unit {
    word: String,
    factor: f64,
}

pub(super) fn write(view: &View, into: &mut Exposition) {
    let mut families: BTreeMap<String, Family<'_>> = BTreeMap::new();
    for component in &view.components {
        for reading in &component.metrics {
            let unit = unit(&reading.unit);
            let mut name = name(component, reading, &unit);
            // Two plugins whose names differ in signs only may disagree on what a metric is.
            while families.get(&name).is_some_and(|family| family.of != reading.kind || family.unit != unit) {
                name.push('_');
            }
            let family = families.entry(name).or_insert_with(|| Family {
                of: reading.kind,
                unit,
                help: &reading.help,
                readings: Vec::new(),
            });
            family.readings.push((&component.name, reading));
        }
    }
    for (name, family) in &families {
        let of = match family.of {
            MetricKind::Counter => Type::Counter,
            MetricKind::Gauge => Type::Gauge,
            MetricKind::Histogram => Type::Histogram,
        };
        let ends = name.ends_with(&family.unit.word);
        let help = if family.help.is_empty() { "A plugin's metric." } else { family.help };
        into.family(name, of, if ends { &family.unit.word } else { "" }, help);
        for (component, reading) in &family.readings {
            let labels = [("component", *component)];
            let factor = family.unit.factor;
            match &reading.distribution {
                Some(spread) => {
                    let bounds: Vec<f64> = spread.bounds.iter().map(|bound| bound * factor).collect();
                    into.histogram(&labels, &bounds, &spread.counts, reading.value * factor);
                }
                None => into.sample(&labels, reading.value * factor),
            }
        }
    }
}

fn name(component: &ComponentView, reading: &MetricReading, unit: &Unit) -> String {
    let base = reading.name.strip_suffix("_total").unwrap_or(&reading.name);
    let mut name =
        format!("cardcage_plugin_{}_{}_{}", component.kind.name(), mangled(&component.plugin), mangled(base));
    let said = mangled(base).split('_').any(|part| part == unit.word);
    if !unit.word.is_empty() && !said {
        name.push('_');
        name.push_str(&unit.word);
    }
    name
}

fn mangled(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect()
}

/// What a unit code (UCUM) is called, in its base unit.
fn unit(code: &str) -> Unit {
    let of = |word: &str, factor: f64| Unit { word: word.to_owned(), factor };
    match code {
        "" | "1" => of("", 1.0),
        "s" => of("seconds", 1.0),
        "ms" => of("seconds", 1e-3),
        "us" => of("seconds", 1e-6),
        "ns" => of("seconds", 1e-9),
        "min" => of("seconds", 60.0),
        "h" => of("seconds", 3600.0),
        "By" => of("bytes", 1.0),
        "kBy" => of("bytes", 1e3),
        "KiBy" => of("bytes", 1024.0),
        "MBy" => of("bytes", 1e6),
        "MiBy" => of("bytes", 1_048_576.0),
        "%" => of("ratio", 1e-2),
        "Cel" | "degC" => of("celsius", 1.0),
        "m" => of("meters", 1.0),
        "V" => of("volts", 1.0),
        "A" => of("amperes", 1.0),
        "J" => of("joules", 1.0),
        "g" => of("grams", 1.0),
        other => of(mangled(&other.replace('/', "_per_")).trim_matches('_'), 1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_base_units_and_odd_ones_are_harmless() {
        assert_eq!(unit("ms"), Unit { word: "seconds".to_owned(), factor: 1e-3 });
        assert_eq!(unit("m/s").word, "m_per_s");
        assert_eq!(unit("{record}").word, "record");
        assert_eq!(unit("a\"} 1\n").word, "a___1");
    }

    #[test]
    fn a_name_has_letters_digits_and_underscores_only() {
        assert_eq!(mangled("my-plugin.ä\n2"), "my_plugin___2");
    }
}
