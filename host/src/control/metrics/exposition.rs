//! The text forms of metrics: `OpenMetrics` 1.0, and the form that came before it and most tools read.

use std::fmt::Write as _;

/// The longest label value; what is longer is cut. Names of ours are shorter; reasons are the plugins'.
const VALUE_MAX_BYTES: usize = 200;

/// Which text form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::control) enum Form {
    /// `application/openmetrics-text`.
    OpenMetrics,
    /// `text/plain; version=0.0.4`.
    Classic,
}

impl Form {
    /// Its name in HTTP.
    pub(in crate::control) fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Counter,
    Gauge,
    Histogram,
}

/// A label's name and value.
pub(super) type Label<'a> = (&'static str, &'a str);

/// A text of metrics that is being written: families one after the other, samples behind their family.
pub(super) struct Exposition {
    form: Form,
    text: String,
    name: String,
    of: Type,
}

impl Exposition {
    pub(super) fn new(form: Form) -> Self {
        Self { form, text: String::new(), name: String::new(), of: Type::Gauge }
    }

    /// Begins a family. `name` has no `_total`; it ends with `unit` where there is one.
    pub(super) fn family(&mut self, name: &str, of: Type, unit: &str, help: &str) {
        name.clone_into(&mut self.name);
        self.of = of;
        let word = match of {
            Type::Counter => "counter",
            Type::Gauge => "gauge",
            Type::Histogram => "histogram",
        };
        let total = if of == Type::Counter && self.form == Form::Classic { "_total" } else { "" };
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "# TYPE {name}{total} {word}");
        if self.form == Form::OpenMetrics && !unit.is_empty() {
            let _ = writeln!(self.text, "# UNIT {name} {unit}");
        }
        let _ = writeln!(self.text, "# HELP {name}{total} {}", escaped(help, self.form == Form::OpenMetrics));
    }

    /// A counter's or a gauge's value.
    pub(super) fn sample(&mut self, labels: &[Label<'_>], value: f64) {
        let suffix = if self.of == Type::Counter { "_total" } else { "" };
        self.line(suffix, labels, &number(value));
    }

    /// A count that has no decimals.
    pub(super) fn count(&mut self, labels: &[Label<'_>], value: u64) {
        let suffix = if self.of == Type::Counter { "_total" } else { "" };
        self.line(suffix, labels, &value.to_string());
    }

    /// A histogram: how many fell into each bucket and into no lower one, of which the last has no bound.
    pub(super) fn histogram(&mut self, labels: &[Label<'_>], bounds: &[f64], buckets: &[u64], sum: f64) {
        let mut so_far = 0_u64;
        let bounds = bounds.iter().copied().chain([f64::INFINITY]);
        for (bound, count) in bounds.zip(buckets) {
            so_far = so_far.saturating_add(*count);
            let bound = number(bound);
            let mut with_bound = labels.to_vec();
            with_bound.push(("le", &bound));
            self.line("_bucket", &with_bound, &so_far.to_string());
        }
        self.line("_sum", labels, &number(sum));
        self.line("_count", labels, &so_far.to_string());
    }

    /// The whole text.
    pub(super) fn finish(mut self) -> String {
        // Elsewhere a comment, here what shows that nothing was cut off.
        self.text.push_str("# EOF\n");
        self.text
    }

    fn line(&mut self, suffix: &str, labels: &[Label<'_>], value: &str) {
        self.text.push_str(&self.name);
        self.text.push_str(suffix);
        for (index, (name, value)) in labels.iter().enumerate() {
            // Writing to a String cannot fail.
            let _ = write!(
                self.text,
                "{}{name}=\"{}\"",
                if index == 0 { "{" } else { "," },
                escaped(cut(value), true)
            );
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{close} {value}");
    }
}

fn escaped(text: &str, quotes: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes => out.push_str("\\\""),
            c => out.push(c),
        }
    }
    out
}

/// At most so many bytes of a label's value.
fn cut(value: &str) -> &str {
    let mut end = value.len().min(VALUE_MAX_BYTES);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    &value[..end]
}

fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_plugin_says_cannot_break_out_of_a_label() {
        let mut text = Exposition::new(Form::OpenMetrics);
        text.family("n", Type::Gauge, "", "one \"line\"\nor two \\");
        let long = "ä".repeat(300);
        text.count(&[("reason", "a\"} 1\n# EOF\n\\")], 1);
        text.count(&[("reason", &long)], 2);
        let text = text.finish();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1], "# HELP n one \\\"line\\\"\\nor two \\\\");
        assert_eq!(lines[2], "n{reason=\"a\\\"} 1\\n# EOF\\n\\\\\"} 1");
        assert_eq!(lines[3].chars().filter(|c| *c == 'ä').count(), 100);
        assert_eq!(lines.len(), 5);
    }

    #[test]
    fn buckets_add_up_to_the_count() {
        let mut text = Exposition::new(Form::Classic);
        text.family("h_seconds", Type::Histogram, "seconds", "h");
        text.histogram(&[("call", "fill")], &[0.5, 1.0], &[1, 2, 3], 7.25);
        let expected = "# TYPE h_seconds histogram
# HELP h_seconds h
h_seconds_bucket{call=\"fill\",le=\"0.5\"} 1
h_seconds_bucket{call=\"fill\",le=\"1\"} 3
h_seconds_bucket{call=\"fill\",le=\"+Inf\"} 6
h_seconds_sum{call=\"fill\"} 7.25
h_seconds_count{call=\"fill\"} 6
# EOF
";
        assert_eq!(text.finish(), expected);
    }

    #[test]
    fn a_counter_is_called_total_in_both_forms() {
        for (form, name) in
            [(Form::OpenMetrics, "# TYPE c counter"), (Form::Classic, "# TYPE c_total counter")]
        {
            let mut text = Exposition::new(form);
            text.family("c", Type::Counter, "", "help");
            text.count(&[], 3);
            let text = text.finish();
            assert!(text.starts_with(name) && text.contains("\nc_total 3\n"), "{text}");
        }
    }
}
