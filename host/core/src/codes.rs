//! The code of every problem that Cardcage reports. People look problems up and filter by them: a released code keeps
//! its name and meaning.
//!
//! Each has a page in `codes/`: what the problem is, a mistake that has it, and the same without it. `cardcage explain`
//! shows the page, and [`page`] makes `docs/errors.md` of all of them. Tests put the mistakes through the checks.

mod page;

pub use page::page;

use crate::diagnostic::Code;

/// A code and what is said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The code.
    pub code: Code,
    /// What it means: one sentence.
    pub meaning: &'static str,
    /// What to know about it, in Markdown. A block marked `yaml wrong` has the problem; one marked `yaml` has none.
    pub explanation: &'static str,
}

/// What is known of a code, written as it appears in brackets behind `error`.
pub fn find(code: &str) -> Option<&'static Entry> {
    ALL.iter().find(|entry| entry.code.0 == code)
}

/// Declares each code with its meaning, and the list of them all.
macro_rules! codes {
    ($($(#[doc = $meaning:literal])+ $name:ident = $code:literal;)+) => {
        $($(#[doc = $meaning])+ pub const $name: Code = Code($code);)+

        /// All codes, in alphabetical order.
        pub const ALL: &[Entry] = &[$(Entry {
            code: $name,
            meaning: concat!($($meaning),+).trim_ascii(),
            explanation: include_str!(concat!("codes/", $code, ".md")),
        }),+];
    };
}

codes! {
    /// Text that is no duration.
    BAD_DURATION = "config.bad-duration";
    /// An item of `inputs` is not `COMPONENT` or `COMPONENT.PORT`, or stands there twice.
    BAD_INPUT = "config.bad-input";
    /// A key is a list or a mapping, or empty.
    BAD_KEY = "config.bad-key";
    /// A name with characters that names don't have, or too long.
    BAD_NAME = "config.bad-name";
    /// `plugin:` is not `NAME[/TYPE][@VERSION]`.
    BAD_PLUGIN = "config.bad-plugin";
    /// Text that is no size.
    BAD_SIZE = "config.bad-size";
    /// `${...}` that is none of the known forms.
    BAD_SUBSTITUTION = "config.bad-substitution";
    /// A value outside its bounds, or none of the known words.
    BAD_VALUE = "config.bad-value";
    /// A key stands twice in one mapping.
    DUPLICATE_KEY = "config.duplicate-key";
    /// Two components of one name.
    DUPLICATE_NAME = "config.duplicate-name";
    /// Nothing would flow: no source, or no sink.
    EMPTY_PIPELINE = "config.empty-pipeline";
    /// A key that may not be absent is.
    MISSING_KEY = "config.missing-key";
    /// A key whose effect this version does not have yet.
    NOT_YET = "config.no-effect-yet";
    /// The file's bytes are no text.
    NOT_UTF8 = "config.not-utf8";
    /// Anyone on the machine could control the daemon.
    OPEN_SOCKET = "config.open-control-socket";
    /// Anyone who can write where plugins are decides what the daemon runs.
    OPEN_PLUGINS = "config.open-plugins";
    /// An alias that contains itself.
    RECURSIVE_ALIAS = "config.recursive-alias";
    /// A second document behind `---`.
    SECOND_DOCUMENT = "config.second-document";
    /// More text than all substitutions together may bring.
    TOO_MUCH = "config.substituted-too-much";
    /// The text is larger, or deeper, or has more parts than any config needs.
    TOO_LARGE = "config.too-large";
    /// A key that nobody knows there.
    UNKNOWN_KEY = "config.unknown-key";
    /// A version of the format that this program does not know.
    UNKNOWN_VERSION = "config.unknown-version";
    /// A file or credential that cannot be read.
    UNREADABLE = "config.unreadable";
    /// A variable that is not set, and has no default.
    UNSET_VARIABLE = "config.unset-variable";
    /// A list where a mapping belongs, text where a list belongs, and so on.
    WRONG_TYPE = "config.wrong-type";
    /// A `<<` merge.
    MERGE = "config.yaml-merge";
    /// The text is no YAML.
    SYNTAX = "config.yaml-syntax";
    /// A `!tag`.
    TAG = "config.yaml-tag";
    /// A plugin's file was refused by the ladder.
    PLUGIN_REFUSED = "plugin.refused";
    /// A file among the plugins was refused, and nothing uses it.
    PLUGIN_REFUSED_UNUSED = "plugin.refused-unused";
    /// No plugin of this name was found.
    PLUGIN_UNKNOWN = "plugin.unknown";
    /// The plugin has no component type of this name and kind.
    PLUGIN_UNKNOWN_TYPE = "plugin.unknown-type";
    /// The plugin was found, but not in this version.
    PLUGIN_UNKNOWN_VERSION = "plugin.unknown-version";
    /// The plugin has several component types of this kind, and none was named.
    PLUGIN_WHICH_TYPE = "plugin.which-type";
    /// A component could not be opened.
    OPEN_FAILED = "run.open-failed";
    /// Settings that the plugin does not take.
    SETTINGS_REFUSED = "settings.refused";
    /// `dead_letter` names no sink, or the component itself.
    BAD_DEAD_LETTER = "wiring.bad-dead-letter";
    /// Components feed each other in a circle.
    CYCLE = "wiring.cycle";
    /// There is not one description a component.
    DESCRIPTION_MISSING = "wiring.description-missing";
    /// Delivery is promised behind a stage that holds readings back and would lose them in a crash.
    HELD_WITHOUT_STATE = "wiring.held-without-state";
    /// A key that does nothing where it stands.
    NO_EFFECT = "wiring.no-effect";
    /// A stage or sink has no inputs.
    NO_INPUTS = "wiring.no-inputs";
    /// Delivery is promised behind a source that cannot go back.
    NOT_REPLAYABLE = "wiring.not-replayable";
    /// A stage converts to units of dimensions of which no reading can come.
    NOTHING_TO_CONVERT = "wiring.nothing-to-convert";
    /// A component needs readings in order behind something that may change their order.
    OUT_OF_ORDER = "wiring.out-of-order";
    /// A component takes some of the units that may come over an input, and would reject the others.
    REFUSED_IN_PART = "wiring.refused-in-part";
    /// An input names a sink, out of which nothing comes.
    SINK_AS_INPUT = "wiring.sink-as-input";
    /// A source has inputs.
    SOURCE_WITH_INPUTS = "wiring.source-with-inputs";
    /// An input names nothing that exists.
    UNKNOWN_INPUT = "wiring.unknown-input";
    /// An input names a port that its component does not have under its settings.
    UNKNOWN_PORT = "wiring.unknown-port";
    /// Nothing can ever come to a component.
    UNREACHABLE = "wiring.unreachable";
    /// Nothing takes what a component gives.
    UNUSED_OUTPUT = "wiring.unused-output";
    /// A component refuses everything that may come over an input: it takes other dimensions.
    WRONG_DIMENSION = "wiring.wrong-dimension";
    /// A component describes itself as another kind than its section says.
    WRONG_KIND = "wiring.wrong-kind";
    /// A component refuses everything that may come over an input: it takes the dimension in other units only.
    WRONG_UNIT = "wiring.wrong-unit";
}
