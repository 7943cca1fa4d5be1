//! The code of every problem that the core reports. People look problems up and filter by them: a released code
//! keeps its name and meaning.

use crate::diagnostic::Code;

/// Declares each code with its meaning, and the list of them all.
macro_rules! codes {
    ($($(#[doc = $meaning:literal])+ $name:ident = $code:literal;)+) => {
        $($(#[doc = $meaning])+ pub const $name: Code = Code($code);)+

        /// All codes with what they mean, in alphabetical order.
        pub const ALL: &[(Code, &str)] = &[$(($name, concat!($($meaning),+))),+];
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
    /// Anyone on the machine could control the daemon.
    OPEN_SOCKET = "config.open-control-socket";
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
    /// `dead_letter` names no sink, or the component itself.
    BAD_DEAD_LETTER = "wiring.bad-dead-letter";
    /// Components feed each other in a circle.
    CYCLE = "wiring.cycle";
    /// There is not one description a component.
    DESCRIPTION_MISSING = "wiring.description-missing";
    /// A stage or sink has no inputs.
    NO_INPUTS = "wiring.no-inputs";
    /// Delivery is promised behind a source that cannot go back.
    NOT_REPLAYABLE = "wiring.not-replayable";
    /// An input names a sink, out of which nothing comes.
    SINK_AS_INPUT = "wiring.sink-as-input";
    /// A source has inputs.
    SOURCE_WITH_INPUTS = "wiring.source-with-inputs";
    /// An input names nothing that exists.
    UNKNOWN_INPUT = "wiring.unknown-input";
    /// An input names a port that its component does not have under its settings.
    UNKNOWN_PORT = "wiring.unknown-port";
    /// Nothing takes what a component gives.
    UNUSED_OUTPUT = "wiring.unused-output";
    /// A component describes itself as another kind than its section says.
    WRONG_KIND = "wiring.wrong-kind";
}
