//! A [`Picture`] as text: a line a component, in the order of the flow, with a frame around what shares a thread.
//!
//! ```text
//! lane  threads
//!    1        1  ┌ host       source  host 0.1.0     Cel, % ─▶ plausible
//!                └ plausible  stage   range 0.1.0    Cel, % ─▶ archive
//!                                                    dropped: Cel, % ─▶ odd
//! ```

use super::picture::{Component, Line, Picture};
use cardcage_plugin_api::manifest::Kind;
use std::collections::HashMap;
use std::fmt::Write as _;

/// Longer names are cut: names have up to 64 characters, and what flows is worth the place more.
const NAME_MAX: usize = 24;
/// The same for a plugin's name with its version.
const PLUGIN_MAX: usize = 24;
/// What stands above the first two columns, with the gaps behind them.
const HEADING: &str = "lane  threads  ";
/// The least room for what flows, however narrow the terminal is.
const FLOW_MIN: usize = 30;

/// How to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Whether there are box-drawing characters and arrows; else ASCII.
    pub unicode: bool,
    /// Columns of a line.
    pub width: usize,
    /// The most components that are drawn; what is beyond is counted.
    pub components_max: usize,
}

/// The drawing, with its last line counting what there is.
pub fn draw(picture: &Picture, style: Style) -> String {
    let pencil = Pencil::new(picture, style);
    let mut text = String::new();
    line(&mut text, HEADING.trim_end());
    let mut lane = None;
    for (at, component) in picture.components.iter().take(style.components_max).enumerate() {
        let head = lane != Some(component.lane);
        let mut margin = String::new();
        if head {
            lane = Some(component.lane);
            let threads = picture.lanes.get(component.lane).map_or(1, |lane| lane.threads);
            margin = format!("{:>4}  {threads:>7}", component.lane + 1);
        }
        let last = picture.components.get(at + 1).is_none_or(|next| next.lane != component.lane);
        pencil.component(&mut text, component, &margin, last);
    }
    let hidden = picture.components.len().saturating_sub(style.components_max);
    if hidden > 0 {
        let more = count(hidden as u64, "more component");
        line(
            &mut text,
            &format!("{}{more}; into a pipe (`| less`) all of them are drawn", pencil.marks.more),
        );
    }
    let components = count(picture.components.len() as u64, "component");
    let lanes = count(picture.lanes.len() as u64, "lane");
    line(&mut text, &format!("{components}, {lanes}, {}", count(picture.threads, "thread")));
    text
}

/// The characters to draw with.
struct Marks {
    alone: &'static str,
    first: &'static str,
    middle: &'static str,
    last: &'static str,
    beside: &'static str,
    arrow: &'static str,
    more: &'static str,
}

const ASCII: Marks =
    Marks { alone: "- ", first: "/ ", middle: "| ", last: "\\ ", beside: "| ", arrow: " -> ", more: "... " };
const BOXES: Marks =
    Marks {
        alone: "─ ", first: "┌ ", middle: "├ ", last: "└ ", beside: "│ ", arrow: " ─▶ ", more: "… "
    };

struct Pencil<'a> {
    marks: Marks,
    leaving: HashMap<&'a str, Vec<&'a Line>>,
    name_width: usize,
    plugin_width: usize,
    /// Columns for what flows.
    flow_width: usize,
}

impl<'a> Pencil<'a> {
    fn new(picture: &'a Picture, style: Style) -> Self {
        let drawn = || picture.components.iter().take(style.components_max);
        let name_width = drawn().map(|c| c.name.chars().count()).max().unwrap_or(0).min(NAME_MAX);
        let plugin_width = drawn().map(|c| plugin(c).chars().count()).max().unwrap_or(0).min(PLUGIN_MAX);
        let mut leaving: HashMap<&str, Vec<&Line>> = HashMap::new();
        for line in &picture.edges {
            leaving.entry(&line.from).or_default().push(line);
        }
        let before = HEADING.len() + 2 + name_width + 2 + "source".len() + 2 + plugin_width + 2;
        Self {
            marks: if style.unicode { BOXES } else { ASCII },
            leaving,
            name_width,
            plugin_width,
            flow_width: style.width.saturating_sub(before).max(FLOW_MIN),
        }
    }

    /// `margin` is what stands in front of a lane's first component, and empty at the others.
    fn component(&self, text: &mut String, component: &Component, margin: &str, last: bool) {
        let marks = &self.marks;
        let mark = match (!margin.is_empty(), last) {
            (true, true) => marks.alone,
            (true, false) => marks.first,
            (false, false) => marks.middle,
            (false, true) => marks.last,
        };
        let name = self.cut(&component.name, NAME_MAX);
        let plugin = self.cut(&plugin(component), PLUGIN_MAX);
        let mut flows = self.flows(component).into_iter();
        let row = format!(
            "{margin:<margin_width$}{mark}{name:<name_width$}  {kind:<6}  {plugin:<plugin_width$}  {flow}",
            kind = component.kind.name(),
            flow = flows.next().unwrap_or_default(),
            margin_width = HEADING.len(),
            name_width = self.name_width,
            plugin_width = self.plugin_width,
        );
        line(text, row.trim_end());
        let beside = if last { "  " } else { marks.beside };
        let indent = self.name_width + 2 + "source".len() + 2 + self.plugin_width + 2;
        for flow in flows {
            line(text, &format!("{:margin$}{beside}{:indent$}{flow}", "", "", margin = HEADING.len()));
        }
    }

    /// What there is to say of a component besides its name: a text a line.
    fn flows(&self, component: &Component) -> Vec<String> {
        let leaving = self.leaving.get(component.name.as_str()).map(Vec::as_slice).unwrap_or_default();
        let mut flows: Vec<String> = leaving
            .chunk_by(|a, b| (a.output, &a.port) == (b.output, &b.port))
            .map(|lines| self.flow(lines))
            .collect();
        let delivery = match component.delivery {
            "at_least_once" => Some("at least once"),
            _ if component.kind == Kind::Sink => Some("best effort"),
            _ => None,
        };
        let said_first = usize::from(component.kind != Kind::Sink).min(flows.len());
        if let Some(delivery) = delivery {
            flows.insert(said_first, delivery.to_owned());
        }
        if component.threads > 0 {
            flows.push(format!("up to {} of its own", count(u64::from(component.threads), "thread")));
        }
        flows
    }

    /// One output: `dropped: Cel, % -> odd, spare`.
    fn flow(&self, lines: &[&Line]) -> String {
        let Some(first) = lines.first() else {
            return String::new();
        };
        let output = match (&first.port, first.output) {
            (Some(port), _) => format!("{}: ", self.cut(port, NAME_MAX)),
            (None, "dead_letter") => "dead letters: ".to_owned(),
            (None, _) => String::new(),
        };
        let mut units: Vec<&str> =
            first.units.iter().map(|code| if code.is_empty() { "no unit" } else { code.as_str() }).collect();
        if first.any {
            units.push("any");
        }
        if units.is_empty() {
            units.push("nothing");
        }
        let consumers: Vec<&str> = lines.iter().map(|line| line.to.as_str()).collect();
        let room = self.flow_width.saturating_sub(output.chars().count() + self.marks.arrow.chars().count());
        // What the consumers leave, but at least half.
        let named = consumers.join(", ").chars().count();
        let units = fitting(&units, room.saturating_sub(named).max(room / 2));
        let consumers = fitting(&consumers, room.saturating_sub(units.chars().count()));
        printable(&format!("{output}{units}{}{consumers}", self.marks.arrow))
    }

    fn cut(&self, text: &str, most: usize) -> String {
        if text.chars().count() <= most {
            return printable(text);
        }
        let mark = self.marks.more.trim_end();
        let kept: String = text.chars().take(most - mark.chars().count()).collect();
        printable(&format!("{kept}{mark}"))
    }
}

fn plugin(component: &Component) -> String {
    format!("{} {}", component.plugin, component.version)
}

/// As many items as fit, the first in any case, and how many do not.
fn fitting(items: &[&str], width: usize) -> String {
    let mut text = String::new();
    for (at, item) in items.iter().enumerate() {
        let left = items.len() - at;
        let after = if left > 1 { format!(", +{}", left - 1).chars().count() } else { 0 };
        if at > 0 && text.chars().count() + 2 + item.chars().count() + after > width {
            let _ = write!(text, ", +{left}");
            return text;
        }
        let comma = if at > 0 { ", " } else { "" };
        let _ = write!(text, "{comma}{item}");
    }
    text
}

fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Codes of units come from plugins: they must not move the cursor or recolour the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn line(text: &mut String, content: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{content}");
}
