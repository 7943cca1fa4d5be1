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
    /// Anyone who can reach the machine could read the metrics.
    OPEN_METRICS = "config.open-metrics";
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
    /// The file is not as its linker wrote it.
    LADDER_ELF_ALTERED = "ladder.elf.altered";
    /// Tables of the library are damaged.
    LADDER_ELF_DAMAGED = "ladder.elf.damaged";
    /// The library asks for something that plugins don't.
    LADDER_ELF_DYNAMIC_ENTRY = "ladder.elf.dynamic-entry";
    /// The library wants an executable stack.
    LADDER_ELF_EXECUTABLE_STACK = "ladder.elf.executable-stack";
    /// The file is no ELF file.
    LADDER_ELF_NO_ELF = "ladder.elf.no-elf";
    /// The file is an ELF file, but no library that can be opened.
    LADDER_ELF_NO_LIBRARY = "ladder.elf.no-library";
    /// The file is a program.
    LADDER_ELF_PROGRAM = "ladder.elf.program";
    /// The library brings its own folders for other libraries.
    LADDER_ELF_RUN_PATH = "ladder.elf.run-path";
    /// The parts of the library cannot be mapped as it says.
    LADDER_ELF_SEGMENTS = "ladder.elf.segments";
    /// The plugin has the name of a library that others need.
    LADDER_ELF_SONAME = "ladder.elf.soname";
    /// The library wants thread-local memory of the static kind.
    LADDER_ELF_STATIC_TLS = "ladder.elf.static-tls";
    /// The library needs a newer system than this one.
    LADDER_ELF_SYMBOL_VERSION = "ladder.elf.symbol-version";
    /// The library's code would be changed while it is loaded.
    LADDER_ELF_TEXT_RELOCATIONS = "ladder.elf.text-relocations";
    /// The library wants too much thread-local memory.
    LADDER_ELF_THREAD_LOCAL = "ladder.elf.thread-local";
    /// The file ends too early.
    LADDER_ELF_TRUNCATED = "ladder.elf.truncated";
    /// Memory of the library would be writable and executable.
    LADDER_ELF_WRITABLE_CODE = "ladder.elf.writable-code";
    /// The library is for 32-bit or big-endian machines.
    LADDER_ELF_WRONG_CLASS = "ladder.elf.wrong-class";
    /// The library is for another processor.
    LADDER_ELF_WRONG_MACHINE = "ladder.elf.wrong-machine";
    /// The plugin's file changed while it was being read.
    LADDER_FILE_CHANGED = "ladder.file.changed";
    /// A link among the plugins leads to nothing.
    LADDER_FILE_DANGLING_LINK = "ladder.file.dangling-link";
    /// A plugin folder cannot be read.
    LADDER_FILE_FOLDER = "ladder.file.folder";
    /// Links among the plugins lead in a circle.
    LADDER_FILE_LINK_LOOP = "ladder.file.link-loop";
    /// There is no such plugin file.
    LADDER_FILE_MISSING = "ladder.file.missing";
    /// A private copy of the plugin could not be made.
    LADDER_FILE_NO_COPY = "ladder.file.no-copy";
    /// The pipeline lists trusted libraries, and this is none of them.
    LADDER_FILE_NOT_LISTED = "ladder.file.not-listed";
    /// What is there is no regular file.
    LADDER_FILE_NOT_REGULAR = "ladder.file.not-regular";
    /// The plugin's file, or a folder above it, belongs to somebody else.
    LADDER_FILE_OWNER = "ladder.file.owner";
    /// The plugin's file is too small or too large.
    LADDER_FILE_SIZE = "ladder.file.size";
    /// A folder has more libraries than are looked at.
    LADDER_FILE_TOO_MANY = "ladder.file.too-many";
    /// The plugin's file cannot be read.
    LADDER_FILE_UNREADABLE = "ladder.file.unreadable";
    /// The vetting child was handed something else than a sealed copy.
    LADDER_FILE_UNSEALED = "ladder.file.unsealed";
    /// Others can write the plugin's file, or a folder above it.
    LADDER_FILE_WRITABLE = "ladder.file.writable";
    /// The library header was not written by the `abi_stable` that this Cardcage uses.
    LADDER_LAYOUT_ABI_STABLE = "ladder.layout.abi-stable";
    /// A pointer in the library header leads out of the library, or to the wrong kind of memory.
    LADDER_LAYOUT_BAD_POINTER = "ladder.layout.bad-pointer";
    /// The library and this host disagree on how C functions are called.
    LADDER_LAYOUT_C_ABI = "ladder.layout.c-abi";
    /// The library has no header that can be read.
    LADDER_LAYOUT_HEADER = "ladder.layout.header";
    /// The types of the plugin API are laid out in the library as they are not here.
    LADDER_LAYOUT_MISMATCH = "ladder.layout.mismatch";
    /// The library header has no layout constant, so nothing can be compared.
    LADDER_LAYOUT_NO_LAYOUT = "ladder.layout.no-layout";
    /// The library could not make the root of its tables.
    LADDER_LAYOUT_ROOT = "ladder.layout.root";
    /// The plugin was built for another version of the ABI.
    LADDER_MANIFEST_ABI_VERSION = "ladder.manifest.abi-version";
    /// The plugin was built for another architecture than its file says.
    LADDER_MANIFEST_ARCHITECTURE = "ladder.manifest.architecture";
    /// Two files say that they are the same version of the same plugin.
    LADDER_MANIFEST_CONFLICT = "ladder.manifest.conflict";
    /// The plugin uses instructions that this processor lacks.
    LADDER_MANIFEST_CPU_FEATURES = "ladder.manifest.cpu-features";
    /// The manifest has another format.
    LADDER_MANIFEST_FORMAT = "ladder.manifest.format";
    /// The manifest can be read, but says something that cannot be.
    LADDER_MANIFEST_ILL_FORMED = "ladder.manifest.ill-formed";
    /// The manifest cannot be read.
    LADDER_MANIFEST_MALFORMED = "ladder.manifest.malformed";
    /// The library is no Cardcage plugin.
    LADDER_MANIFEST_MISSING = "ladder.manifest.missing";
    /// The manifest is no text.
    LADDER_MANIFEST_NOT_UTF8 = "ladder.manifest.not-utf8";
    /// A panic of the plugin would end the daemon.
    LADDER_MANIFEST_PANIC_STRATEGY = "ladder.manifest.panic-strategy";
    /// The library has several Cardcage notes.
    LADDER_MANIFEST_SEVERAL = "ladder.manifest.several";
    /// The manifest is larger than any plugin needs.
    LADDER_MANIFEST_TOO_LARGE = "ladder.manifest.too-large";
    /// No descriptor is left for the plugin's memory.
    LADDER_OPEN_DESCRIPTORS = "ladder.open.descriptors";
    /// The plugin's symbols lead to another library.
    LADDER_OPEN_FOREIGN_SYMBOLS = "ladder.open.foreign-symbols";
    /// The dynamic linker does not take the library.
    LADDER_OPEN_LINKER = "ladder.open.linker";
    /// The library does not export what the host finds its functions by.
    LADDER_OPEN_NO_SYMBOL = "ladder.open.no-symbol";
    /// Loading the library changes the process for everybody.
    LADDER_OPEN_PROCESS_CHANGED = "ladder.open.process-changed";
    /// Loading the library reaches for processes, sockets or worse.
    LADDER_OPEN_REACHED_OUT = "ladder.open.reached-out";
    /// The library does not take up the host's log.
    LADDER_PROBE_ATTACH = "ladder.probe.attach";
    /// A stage that declares `parallel_by_sensor` does other things when it does not see all sensors.
    LADDER_PROBE_BY_SENSOR = "ladder.probe.by-sensor";
    /// A source goes on waiting after it was told to stop.
    LADDER_PROBE_CANCELLATION = "ladder.probe.cancellation";
    /// A call left behind what the ABI does not allow.
    LADDER_PROBE_CONTRACT = "ladder.probe.contract";
    /// A call asks to be made again without end.
    LADDER_PROBE_ENDLESS = "ladder.probe.endless";
    /// A call failed with the plugin's own probe settings.
    LADDER_PROBE_FAILED = "ladder.probe.failed";
    /// A stage still holds records after its last call.
    LADDER_PROBE_HELD = "ladder.probe.held";
    /// A source wants to be called again at a time that makes no sense.
    LADDER_PROBE_IDLE = "ladder.probe.idle";
    /// Records got lost, or came from nowhere.
    LADDER_PROBE_IMBALANCE = "ladder.probe.imbalance";
    /// `describe` does not give the same answer twice.
    LADDER_PROBE_IMPURE = "ladder.probe.impure";
    /// A plugin used a batch after the call that lent it had returned.
    LADDER_PROBE_KEPT_BATCH = "ladder.probe.kept-batch";
    /// A stage or source that declares `deterministic` gave something else the second time.
    LADDER_PROBE_NONDETERMINISTIC = "ladder.probe.nondeterministic";
    /// A plugin touched memory beside the batch that it was lent.
    LADDER_PROBE_OUTSIDE_BATCH = "ladder.probe.outside-batch";
    /// A call panicked with a made-up batch, or when it was opened.
    LADDER_PROBE_PANICKED = "ladder.probe.panicked";
    /// A source that declares `replayable` or `acknowledged` gives batches and no positions.
    LADDER_PROBE_POSITION = "ladder.probe.position";
    /// A component that was used and closed leaves the process changed.
    LADDER_PROBE_PROCESS_CHANGED = "ladder.probe.process-changed";
    /// A plugin gave a record with reserved bits of its quality set.
    LADDER_PROBE_QUALITY = "ladder.probe.quality";
    /// A source that declares `replayable` gives other records the second time.
    LADDER_PROBE_REPLAY = "ladder.probe.replay";
    /// `describe` finds fault with the plugin's own probe settings.
    LADDER_PROBE_SETTINGS = "ladder.probe.settings";
    /// A state that was saved does not bring back what was there.
    LADDER_PROBE_STATE = "ladder.probe.state";
    /// Threads of a component run on after it was closed.
    LADDER_PROBE_THREADS = "ladder.probe.threads";
    /// A plugin does what it did not declare.
    LADDER_PROBE_UNDECLARED = "ladder.probe.undeclared";
    /// A plugin gave a record with a sensor or unit that nobody was given.
    LADDER_PROBE_UNKNOWN_ID = "ladder.probe.unknown-id";
    /// A sink wrote to the batch that it was given to read.
    LADDER_PROBE_WROTE_DELIVERY = "ladder.probe.wrote-delivery";
    /// The probe settings do not fit the plugin's own schema.
    LADDER_SETTINGS_PROBE_SETTINGS = "ladder.settings.probe-settings";
    /// A component type has no usable schema of its settings.
    LADDER_SETTINGS_SCHEMA = "ladder.settings.schema";
    /// A component type declares what its kind cannot do.
    LADDER_TRUTH_KIND = "ladder.truth.kind";
    /// The manifest in the file is not the one that the library was built with.
    LADDER_TRUTH_NOTE = "ladder.truth.note";
    /// A source declares that it can go back, and has no way to.
    LADDER_TRUTH_REPLAYABLE = "ladder.truth.replayable";
    /// A component type declares `state` without having it, or the other way round.
    LADDER_TRUTH_STATE = "ladder.truth.state";
    /// The library has other component types than its manifest says.
    LADDER_TRUTH_TYPES = "ladder.truth.types";
    /// The vetting child's answer is not one on this plugin.
    LADDER_VETTING_ANSWER = "ladder.vetting.answer";
    /// The plugin ends the process that loads and tries it.
    LADDER_VETTING_DIED = "ladder.vetting.died";
    /// The vetting child cannot be run.
    LADDER_VETTING_NO_CHILD = "ladder.vetting.no-child";
    /// The plugin writes to files that it did not open.
    LADDER_VETTING_SCRIBBLED = "ladder.vetting.scribbled";
    /// The plugin closes files that it did not open.
    LADDER_VETTING_SILENCED = "ladder.vetting.silenced";
    /// The plugin does not come back within the deadline.
    LADDER_VETTING_TIMEOUT = "ladder.vetting.timeout";
    /// The root of the tables says another ABI version than the manifest.
    LADDER_VTABLE_ABI_VERSION = "ladder.vtable.abi-version";
    /// An optional group of functions is not whole.
    LADDER_VTABLE_GROUP = "ladder.vtable.group";
    /// A table of functions is not complete.
    LADDER_VTABLE_INCOMPLETE = "ladder.vtable.incomplete";
    /// A table lies at an address where it cannot be read in one piece.
    LADDER_VTABLE_MISALIGNED = "ladder.vtable.misaligned";
    /// A component type has a name that cannot be read.
    LADDER_VTABLE_NAME = "ladder.vtable.name";
    /// A function leads to data.
    LADDER_VTABLE_NO_CODE = "ladder.vtable.no-code";
    /// A pointer that is required is null.
    LADDER_VTABLE_NULL = "ladder.vtable.null";
    /// A pointer leads out of the library.
    LADDER_VTABLE_OUTSIDE = "ladder.vtable.outside";
    /// The library says it has no component types, or too many.
    LADDER_VTABLE_TYPES = "ladder.vtable.types";
    /// A table lies in memory that can be written to.
    LADDER_VTABLE_WRITABLE = "ladder.vtable.writable";
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
    /// A component writes to a file that the pipeline reads.
    FEEDS_ITSELF = "settings.feeds-itself";
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
