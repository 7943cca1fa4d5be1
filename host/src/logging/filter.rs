//! Which events are written: a level for all, and others for plugins, for parts of the host and for single components.
//! It can be swapped while the daemon runs.

use cardcage_core::naming::nearest;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata, subscriber::Interest};

/// The target of all events of plugins, and the name that means them in a filter.
pub(super) const PLUGINS: &str = "plugin";
/// Targets of events that are written whatever the filter is, each of them: the heads of the audit trail, by which a
/// cut trail is noticed, and changes of the filter itself. Nobody who may change the filter is to be able to hide these.
pub(super) const ALWAYS_WRITTEN: [&str; 2] = ["audit_head", CHANGES];
/// The target of the events that tell of a change of the filter.
pub(crate) const CHANGES: &str = "log_filter";
/// What the names of the host's own modules begin with, in a filter as in targets.
const HOST: &str = "cardcage";
/// Longer than any filter that a person writes; what comes through the control socket is not kept at will.
const TEXT_MAX_BYTES: usize = 4096;

/// Levels, as a filter names them, from the least to the most that is written.
const LEVELS: [(&str, LevelFilter); 6] = [
    ("off", LevelFilter::OFF),
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
    ("trace", LevelFilter::TRACE),
];

/// Why a text is no filter.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum FilterError {
    #[error("the filter is empty, expected a level or `NAME=LEVEL`, such as `info,press=debug`")]
    Empty,
    #[error("the filter has {0} bytes, at most {TEXT_MAX_BYTES} are taken")]
    TooLong(usize),
    #[error("`{found}` is no level{}; levels are off, error, warn, info, debug and trace", meant(.nearest.as_deref()))]
    Level { found: String, nearest: Option<String> },
    #[error(
        "`{found}` is no component of this pipeline{}; besides components there are `{PLUGINS}` for all plugins and \
         `{HOST}` or one of its modules for the host", meant(.nearest.as_deref())
    )]
    Name { found: String, nearest: Option<String> },
    #[error("`{0}` has two levels in one filter")]
    Twice(String),
}

fn meant(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| format!(", did you mean `{nearest}`?"))
}

/// A filter that was read: a pure value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Directives {
    text: String,
    /// What holds where nothing else does.
    rest: LevelFilter,
    /// By what a target begins with, the longest first.
    targets: Vec<(String, LevelFilter)>,
    components: Vec<(String, LevelFilter)>,
}

impl Directives {
    /// One level for everything.
    pub(super) fn all_at(level: LevelFilter) -> Self {
        let text = LEVELS.iter().find(|(_, known)| *known == level).map_or("off", |(name, _)| *name);
        Self { text: text.to_owned(), rest: level, targets: Vec::new(), components: Vec::new() }
    }

    /// Reads `LEVEL` and `NAME=LEVEL`, separated by commas. Where there is no `LEVEL` alone, `rest` holds.
    fn parse(text: &str, rest: LevelFilter, components: &[String]) -> Result<Self, FilterError> {
        if text.len() > TEXT_MAX_BYTES {
            return Err(FilterError::TooLong(text.len()));
        }
        let parts: Vec<&str> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
        if parts.is_empty() {
            return Err(FilterError::Empty);
        }
        let mut read = Self { text: parts.join(","), ..Self::all_at(rest) };
        let mut seen: Vec<&str> = Vec::new();
        for part in parts {
            let (name, level) =
                part.split_once('=').map_or(("", part), |(name, level)| (name.trim(), level.trim()));
            let level = level_named(level, name.is_empty().then_some(components))?;
            if seen.contains(&name) {
                return Err(FilterError::Twice(if name.is_empty() { read.text } else { name.to_owned() }));
            }
            seen.push(name);
            match name {
                "" => read.rest = level,
                _ if name == PLUGINS || name.starts_with(HOST) => read.targets.push((name.to_owned(), level)),
                _ if components.iter().any(|known| known == name) => {
                    read.components.push((name.to_owned(), level));
                }
                _ => {
                    let known = components.iter().map(String::as_str).chain([PLUGINS, HOST]);
                    let nearest = nearest(name, known).map(str::to_owned);
                    return Err(FilterError::Name { found: name.to_owned(), nearest });
                }
            }
        }
        read.targets.sort_by_key(|(target, _)| std::cmp::Reverse(target.len()));
        Ok(read)
    }

    /// Whether this event is written.
    pub(super) fn takes(&self, level: Level, target: &str, component: Option<&str>) -> bool {
        if ALWAYS_WRITTEN.contains(&target) {
            return true;
        }
        let own = component.and_then(|component| self.components.iter().find(|(name, _)| name == component));
        level <= own.map_or_else(|| self.of_target(target), |(_, level)| *level)
    }

    /// Whether some component's event at this level and of this target is written.
    pub(super) fn may_take(&self, level: Level, target: &str) -> bool {
        ALWAYS_WRITTEN.contains(&target)
            || level <= self.of_target(target)
            || self.components.iter().any(|(_, own)| level <= *own)
    }

    /// The same for every event of a place in the code, so that those which nobody wants cost one load.
    pub(super) fn interest(&self, metadata: &Metadata<'_>) -> Interest {
        if !self.may_take(*metadata.level(), metadata.target()) {
            Interest::never()
        } else if self.components.is_empty() {
            Interest::always()
        } else {
            Interest::sometimes()
        }
    }

    /// No event above this level is written. Those that are always written are news.
    pub(super) fn most(&self) -> LevelFilter {
        let named = self.targets.iter().chain(&self.components).map(|(_, level)| *level);
        named.fold(self.rest.max(LevelFilter::INFO), Ord::max)
    }

    fn of_target(&self, target: &str) -> LevelFilter {
        let named = self.targets.iter().find(|(begin, _)| target.starts_with(begin.as_str()));
        named.map_or(self.rest, |(_, level)| *level)
    }
}

/// The level of this name. A name alone is easily meant as `NAME=debug`, which is said where `components` are known.
fn level_named(found: &str, components: Option<&[String]>) -> Result<LevelFilter, FilterError> {
    let known = LEVELS.iter().find(|(name, _)| name.eq_ignore_ascii_case(found));
    known.map(|(_, level)| *level).ok_or_else(|| {
        let named =
            components.is_some_and(|names| found == PLUGINS || names.iter().any(|name| name == found));
        let nearest = if named {
            Some(format!("{found}=debug"))
        } else {
            nearest(found, LEVELS.map(|(name, _)| name)).map(str::to_owned)
        };
        FilterError::Level { found: found.to_owned(), nearest }
    })
}

/// The daemon's filter. Copies are the same filter.
#[derive(Clone)]
pub(crate) struct Filter(Arc<Shared>);

struct Shared {
    now: RwLock<Arc<Directives>>,
    /// What `reset` goes back to.
    first: RwLock<Arc<Directives>>,
    /// `log.level`: what holds where a filter does not say.
    level: LevelFilter,
    /// The components that a filter may name.
    components: Vec<String>,
}

impl Filter {
    /// Everything at `level` and above, which is one of `log.level`'s words. `components` are what later filters may
    /// name.
    pub(super) fn new(level: &str, components: Vec<String>) -> Self {
        // The words of `log.level` are a part of those above, and a config was checked.
        let level = level_named(level, None).unwrap_or(LevelFilter::INFO);
        let first = Arc::new(Directives::all_at(level));
        Self(Arc::new(Shared {
            now: RwLock::new(Arc::clone(&first)),
            first: RwLock::new(first),
            level,
            components,
        }))
    }

    /// Swaps the filter for what `text` says: `LEVEL` and `NAME=LEVEL`, separated by commas, where `NAME` is a component,
    /// `plugin` for all plugins, or `cardcage` (or one of its modules) for the host. Without a `LEVEL` of its own the rest
    /// stays at `log.level`. A text that is no filter changes nothing.
    pub(crate) fn set(&self, text: &str) -> Result<(), FilterError> {
        let directives = Directives::parse(text, self.0.level, &self.0.components)?;
        self.swap(Arc::new(directives));
        Ok(())
    }

    /// Goes back to the filter that the daemon was started with.
    pub(crate) fn reset(&self) {
        let first = Arc::clone(&self.0.first.read().unwrap_or_else(PoisonError::into_inner));
        self.swap(first);
    }

    /// The filter in force, as it can be given to [`Self::set`].
    pub(crate) fn current(&self) -> String {
        self.directives().text.clone()
    }

    /// As [`Self::set`], and what [`Self::reset`] goes back to.
    pub(super) fn start_with(&self, text: &str) -> Result<(), FilterError> {
        let directives = Arc::new(Directives::parse(text, self.0.level, &self.0.components)?);
        *self.0.first.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&directives);
        self.swap(directives);
        Ok(())
    }

    pub(super) fn directives(&self) -> Arc<Directives> {
        Arc::clone(&self.0.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn swap(&self, directives: Arc<Directives>) {
        *self.0.now.write().unwrap_or_else(PoisonError::into_inner) = directives;
        // Each place in the code remembers whether anybody wants its events.
        tracing_core::callsite::rebuild_interest_cache();
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.current())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter() -> Filter {
        Filter::new("info", vec!["press".to_owned(), "boiler".to_owned()])
    }

    fn takes(filter: &Filter, level: Level, target: &str, component: &str) -> bool {
        let component = (!component.is_empty()).then_some(component);
        let directives = filter.directives();
        let taken = directives.takes(level, target, component);
        // What is taken must be let through by the coarser questions that are asked before.
        assert!(!taken || (directives.may_take(level, target) && level <= directives.most()));
        taken
    }

    #[test]
    fn a_component_the_plugins_and_the_host_have_levels_of_their_own() {
        let filter = filter();
        filter
            .set("warn, press=trace, plugin=debug,cardcage_runtime=info, cardcage=error")
            .expect("a filter");
        assert!(takes(&filter, Level::TRACE, "plugin", "press"));
        assert!(takes(&filter, Level::TRACE, "cardcage_runtime::slot", "press"));
        assert!(!takes(&filter, Level::TRACE, "plugin", "boiler"));
        assert!(takes(&filter, Level::DEBUG, "plugin", "boiler"));
        assert!(takes(&filter, Level::INFO, "cardcage_runtime::slot", "boiler"));
        assert!(!takes(&filter, Level::WARN, "cardcage::signals", ""));
        assert!(takes(&filter, Level::WARN, "another_library", ""));
        assert!(!takes(&filter, Level::INFO, "another_library", ""));
    }

    #[test]
    fn what_a_filter_does_not_say_stays_at_the_level_of_the_config() {
        let filter = filter();
        filter.set("press=debug").expect("a filter");
        assert!(takes(&filter, Level::INFO, "plugin", "boiler"));
        assert!(!takes(&filter, Level::DEBUG, "plugin", "boiler"));
        assert_eq!(filter.current(), "press=debug");
        filter.set("off").expect("a filter");
        assert!(!takes(&filter, Level::ERROR, "plugin", "press"));
    }

    #[test]
    fn no_filter_hides_heads_of_the_trail_and_changes_of_itself() {
        let filter = filter();
        filter.set("off,press=off,plugin=off,cardcage=off").expect("a filter");
        for target in ALWAYS_WRITTEN {
            assert!(takes(&filter, Level::INFO, target, ""), "{target}");
        }
        assert!(!takes(&filter, Level::ERROR, "cardcage", ""));
    }

    #[test]
    fn reset_goes_back_to_what_the_daemon_was_started_with() {
        let filter = filter();
        assert_eq!(filter.current(), "info");
        filter.start_with("debug,press=off").expect("a filter");
        filter.set("TRACE").expect("a filter");
        assert_eq!(filter.current(), "TRACE");
        filter.reset();
        assert_eq!(filter.current(), "debug,press=off");
    }

    #[test]
    fn a_text_that_is_no_filter_changes_nothing_and_says_why() {
        let filter = filter();
        let long = "x".repeat(TEXT_MAX_BYTES + 1);
        for (text, says) in [
            ("", "the filter is empty, expected a level or `NAME=LEVEL`, such as `info,press=debug`"),
            (" , ", "the filter is empty, expected a level or `NAME=LEVEL`, such as `info,press=debug`"),
            (
                "wran",
                "`wran` is no level, did you mean `warn`?; levels are off, error, warn, info, debug and trace",
            ),
            (
                "press",
                "`press` is no level, did you mean `press=debug`?; levels are off, error, warn, info, debug and trace",
            ),
            ("press=loud", "`loud` is no level; levels are off, error, warn, info, debug and trace"),
            ("press=", "`` is no level; levels are off, error, warn, info, debug and trace"),
            (
                "pres=debug",
                "`pres` is no component of this pipeline, did you mean `press`?; besides components there are `plugin` \
                 for all plugins and `cardcage` or one of its modules for the host",
            ),
            ("press=info,press=debug", "`press` has two levels in one filter"),
            ("info,debug", "`info,debug` has two levels in one filter"),
            (&long, "the filter has 4097 bytes, at most 4096 are taken"),
        ] {
            let refused = filter.set(text).expect_err("no filter");
            assert_eq!(refused.to_string(), says);
            assert_eq!(filter.current(), "info");
        }
    }
}
