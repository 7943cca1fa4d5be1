//! What repeats is held back: of each place in the code only so many events pass in a while, for each component by
//! itself, and at the while's end one line says how many more there were.
//!
//! Pure: time is an argument.

use super::line::{Line, cut};
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant, SystemTime};
use tracing_core::callsite::Identifier;

/// Events of one place that pass within one window. A start reports on tens of plugins and files from one place, which
/// is no flood; at 200 bytes a line, a flood of one place is 10 KiB a window.
pub(super) const BURST: u32 = 50;
/// How long a place's events are counted together: short enough to see soon that a fault is over.
pub(super) const WINDOW: Duration = Duration::from_secs(10);
/// Places that are counted apart: all that the host and some tens of plugins have, for some components each. What
/// comes while the table is full is counted together.
const PLACES_MAX: usize = 1024;
/// What is kept of the last text that was held back.
const LAST_MAX_BYTES: usize = 256;

/// Where an event comes from: the place in the code and the component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place(u64);

/// All places for which the table has no room.
const CROWD: Place = Place(0);

/// What is to be done with a line.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Write it, after the line that says what was held back before, if anything was.
    Write(Option<Line>),
    /// It is counted, as the first of its window.
    FirstHeld,
    /// It is counted.
    Held,
}

/// The table of places.
pub(super) struct Repeats {
    windows: HashMap<Place, Window>,
    hasher: RandomState,
}

struct Window {
    from: Instant,
    written: u32,
    held: u64,
    /// The last line that was held back, with its text cut.
    last: Option<Line>,
}

impl Repeats {
    pub(super) fn new() -> Self {
        Self { windows: HashMap::new(), hasher: RandomState::new() }
    }

    /// The place of a line. The host names the place in its code; all of a plugin's events pass through the same few of
    /// these, and are told apart by what the plugin says of their place.
    pub(super) fn place(&self, callsite: &Identifier, line: &Line) -> Place {
        let from = (&line.component, &line.plugin, &line.module, line.row);
        Place(self.hasher.hash_one((callsite, from)).max(CROWD.0 + 1))
    }

    /// Counts a line.
    pub(super) fn take(&mut self, place: Place, line: &Line, now: Instant) -> Verdict {
        let place = self.admitted(place, now);
        let window = self.windows.entry(place).or_insert_with(|| Window::new(now));
        let mut said = None;
        if window.is_over(now) {
            said = window.end();
            *window = Window::new(now);
        }
        if window.written < BURST {
            window.written += 1;
            return Verdict::Write(said);
        }
        window.held += 1;
        let last = window.last.get_or_insert_with(|| line.clone());
        last.message.clear();
        last.message.push_str(&line.message[..line.message.floor_char_boundary(LAST_MAX_BYTES + 1)]);
        cut(&mut last.message, LAST_MAX_BYTES);
        if window.held == 1 { Verdict::FirstHeld } else { Verdict::Held }
    }

    /// The lines about windows that are over, and when the next one is that held something back.
    pub(super) fn due(&mut self, now: Instant) -> (Vec<Line>, Option<Instant>) {
        let over = self.windows.values_mut().filter(|window| window.is_over(now));
        let said = over.filter_map(Window::end).collect();
        let holding = self.windows.values().filter(|window| window.held > 0);
        (said, holding.map(|window| window.from + WINDOW).min())
    }

    /// The lines about all that is held back, whether or not its window is over: the process ends.
    pub(super) fn end(&mut self) -> Vec<Line> {
        self.windows.values_mut().filter_map(Window::end).collect()
    }

    /// The place, if the table has it or has room; else the crowd.
    fn admitted(&mut self, place: Place, now: Instant) -> Place {
        if self.windows.contains_key(&place) || self.windows.len() < PLACES_MAX {
            return place;
        }
        self.windows.retain(|_, window| !window.is_over(now) || window.held > 0);
        if self.windows.len() < PLACES_MAX { place } else { CROWD }
    }
}

impl Window {
    fn new(from: Instant) -> Self {
        Self { from, written: 0, held: 0, last: None }
    }

    fn is_over(&self, now: Instant) -> bool {
        now.duration_since(self.from) >= WINDOW
    }

    /// The line about what was held back, which is then no longer held.
    fn end(&mut self) -> Option<Line> {
        let held = std::mem::take(&mut self.held);
        let mut line = self.last.take()?;
        line.time = SystemTime::now();
        line.message = format!("{held} more like this were held back; the last: {}", line.message);
        line.fields = vec![("held_back", held.into())];
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    fn line(component: &str, message: &str) -> Line {
        let mut line = Line::own(Level::WARN, message.to_owned());
        line.component = Some(component.to_owned());
        line.fields = vec![("n", 1.into())];
        line
    }

    /// How many of so many events pass, and what is said on the way.
    fn flood(repeats: &mut Repeats, place: Place, events: u32, now: Instant) -> (u32, Vec<String>) {
        let (mut passed, mut said) = (0, Vec::new());
        for n in 1..=events {
            match repeats.take(place, &line("press", &format!("no {n}")), now) {
                Verdict::Write(before) => {
                    passed += 1;
                    said.extend(before.map(|line| line.message));
                }
                Verdict::FirstHeld | Verdict::Held => {}
            }
        }
        (passed, said)
    }

    #[test]
    fn a_flood_passes_as_a_burst_and_a_count_of_the_rest_when_its_window_ends() {
        let (mut repeats, start) = (Repeats::new(), Instant::now());
        assert_eq!(flood(&mut repeats, Place(1), 1050, start), (BURST, vec![]));
        assert_eq!(flood(&mut repeats, Place(2), 3, start).0, 3, "another place");
        let (said, next) = repeats.due(start + WINDOW / 2);
        assert!(said.is_empty());
        assert_eq!(next, Some(start + WINDOW));
        let (said, next) = repeats.due(start + WINDOW);
        let [line] = said.as_slice() else { panic!("{said:?}") };
        assert_eq!(line.message, "1000 more like this were held back; the last: no 1050");
        assert_eq!((line.level, line.component.as_deref()), (Level::WARN, Some("press")));
        assert_eq!(line.fields, [("held_back", 1000.into())]);
        assert_eq!(next, None);
        assert_eq!(flood(&mut repeats, Place(1), 60, start + WINDOW), (BURST, vec![]), "a new window");
    }

    #[test]
    fn where_nobody_looked_at_the_end_of_the_window_the_next_event_says_it() {
        let (mut repeats, start) = (Repeats::new(), Instant::now());
        flood(&mut repeats, Place(1), BURST + 2, start);
        let (passed, said) = flood(&mut repeats, Place(1), 1, start + 2 * WINDOW);
        assert_eq!(
            (passed, said.as_slice()),
            (1, ["2 more like this were held back; the last: no 52".to_owned()].as_slice())
        );
        assert!(repeats.end().is_empty());
    }

    #[test]
    fn the_end_of_the_process_says_what_is_still_held() {
        let (mut repeats, start) = (Repeats::new(), Instant::now());
        flood(&mut repeats, Place(1), BURST + 7, start);
        let said = repeats.end();
        assert!(said[0].message.starts_with("7 more"), "{said:?}");
        assert!(repeats.end().is_empty());
    }

    #[test]
    fn the_same_place_is_counted_for_each_component_by_itself_and_for_each_line_of_a_plugin() {
        let repeats = Repeats::new();
        let (one, other) = (callsite(), callsite());
        let place = |callsite: &Identifier, component: &str, module: &str, row: u32| {
            let mut line = line(component, "x");
            (line.module, line.row) = (Some(module.to_owned()), Some(row));
            repeats.place(callsite, &line)
        };
        let first = place(&one, "press", "m", 1);
        assert_eq!(first, place(&one, "press", "m", 1));
        for another in [
            place(&one, "boiler", "m", 1),
            place(&one, "press", "n", 1),
            place(&one, "press", "m", 2),
            place(&other, "press", "m", 1),
        ] {
            assert_ne!(first, another);
        }
    }

    /// The identity of a place in the code that no other call gives.
    fn callsite() -> Identifier {
        use tracing_core::callsite::Callsite;
        // A zero-sized value would share its address with others.
        struct Here(#[expect(dead_code, reason = "gives it an address of its own")] u8);
        impl Callsite for Here {
            fn set_interest(&self, _: tracing::subscriber::Interest) {}
            fn metadata(&self) -> &tracing::Metadata<'_> {
                unreachable!("only its identity is asked for")
            }
        }
        Identifier(Box::leak(Box::new(Here(0))))
    }

    #[test]
    fn the_table_is_bounded_and_what_finds_no_room_is_counted_together() {
        let (mut repeats, start) = (Repeats::new(), Instant::now());
        let places = u64::try_from(PLACES_MAX).expect("few");
        let mut passed = 0;
        for place in 1..=places + 200 {
            passed += flood(&mut repeats, Place(place), 1, start).0;
        }
        assert_eq!(u64::from(passed), places + u64::from(BURST));
        assert!(repeats.windows.len() <= PLACES_MAX + 1);
        let (said, _) = repeats.due(start + WINDOW);
        assert_eq!(said.len(), 1, "{said:?}");
        assert_eq!(
            flood(&mut repeats, Place(places + 300), 60, start + WINDOW).0,
            BURST,
            "there is room again"
        );
        assert!(repeats.windows.len() <= 2);
    }
}
