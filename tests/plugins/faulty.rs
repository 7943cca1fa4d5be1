//! Does one thing wrong, and says in its manifest which: the description is `fault: NAME`. As it is built it does
//! nothing wrong; a test writes another name over it, in both copies of the manifest, and has another hostile file.
//!
//! Its functions are the SDK's where the SDK can do wrong, and by hand where it cannot.

#![expect(unsafe_code, reason = "tables, a header and calls that the SDK would not make")]

use cardcage_plugin_api::__private::abi_stable::StableAbi;
use cardcage_plugin_api::__private::abi_stable::library::{CheckTypeLayout, LibHeader, RootModuleResult};
use cardcage_plugin_api::__private::abi_stable::prefix_type::{PrefixRef, PrefixRefTrait, WithMetadata};
use cardcage_plugin_api::__private::{Library, Note, join, root, sink, source, stage};
use cardcage_plugin_api::abi::{
    ABI_VERSION, BatchHeader, Bytes, Call, CommonVtable, ComponentType, Group, HostTable, Instance, Outcome,
    RawBatch, RawOutputs, Root, RootRef, SinkVtable, SourceVtable, StageVtable, StateGroup,
};
use cardcage_plugin_api::prelude::*;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::time::Duration;

/// What this file does wrong.
fn fault() -> &'static str {
    static FAULT: OnceLock<String> = OnceLock::new();
    FAULT.get_or_init(|| {
        // Read as it is in the file, not as the compiler knows it.
        let manifest = String::from_utf8_lossy(std::hint::black_box(&MANIFEST_SYMBOL));
        let name = manifest.split_once("fault: ").map_or("", |(_, rest)| rest);
        name.split([' ', '"']).next().unwrap_or_default().to_owned()
    })
}

fn at_fault(name: &str) -> bool {
    fault() == name
}

/// Counts up over the life of the process: what a component that is not deterministic looks at.
static COUNT: AtomicU64 = AtomicU64::new(0);
/// A batch that was kept.
static KEPT: AtomicPtr<Record> = AtomicPtr::new(null_mut());

/// The stage.
pub struct Pass;

impl Stage for Pass {
    type Settings = NoSettings;

    fn describe(_: &NoSettings) -> Description {
        let plain = Description::stage().does(Capability::Deterministic);
        match fault() {
            "describe-another-kind" => Description::sink(),
            "describe-more" => plain.does(Capability::Creates).writes(Field::Value),
            "describe-drops" => plain.drops("gone"),
            "describe-impure" if COUNT.fetch_add(1, Ordering::Relaxed) % 2 == 1 => plain.port("now_and_then"),
            "describe-problem" => plain.problem("limit", "must be above 0"),
            "describe-bad-name" => plain.port("Not A Name"),
            "describe-panics" => panic!("nothing to say"),
            _ => plain,
        }
    }

    fn open(_: NoSettings, host: &Host) -> Result<Self, PluginError> {
        match fault() {
            "open-panics" => panic!("no luck today"),
            "open-hangs" => loop {
                std::thread::park();
            },
            "open-fails" => return Err(PluginError::new("the device is gone")),
            "open-fails-at-length" => return Err(PluginError::new("no ".repeat(512 * 1024))),
            "leaks-a-thread" => drop(std::thread::spawn(|| std::thread::sleep(Duration::from_mins(1)))),
            "leaks-a-host-thread" => {
                let _ = host.spawn("late", |host| {
                    while !host.cancelled() {
                        std::thread::sleep(Duration::from_millis(5));
                    }
                    Ok(())
                })?;
            }
            _ => {}
        }
        Ok(Self)
    }

    fn process(&mut self, batch: &mut Batch<'_>, out: &mut Outputs<'_>) -> Result<Flow, PluginError> {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        match fault() {
            "process-panics" => {
                assert!(batch.records().iter().all(|record| record.value.is_finite()), "not finite");
            }
            "process-hangs" => loop {
                std::thread::park();
            },
            "drops-undeclared" => batch.retain("too_many", |record| record.value < 1.0),
            "loses" => batch.truncate(batch.len().saturating_sub(1)),
            "creates" => {
                if let Some(record) = batch.records().first().copied() {
                    out.create(record);
                }
            }
            "reorders" => batch.records_mut().reverse(),
            "writes-time" => batch.records_mut().iter_mut().for_each(|record| record.timestamp_ns ^= 1),
            "writes-value" => batch.records_mut().iter_mut().for_each(|record| record.value += 1.0),
            "writes-sensor" => batch.records_mut().iter_mut().for_each(|record| record.sensor.0 ^= 1),
            "writes-unit" => batch.records_mut().iter_mut().for_each(|record| record.unit.0 ^= 1),
            "writes-quality" => batch.records_mut().iter_mut().for_each(|record| record.quality.0 ^= 0x10),
            "sets-reserved-bits" => {
                batch.records_mut().iter_mut().for_each(|record| record.quality.0 |= 0x8000);
            }
            "makes-up-a-sensor" => {
                batch.records_mut().iter_mut().for_each(|record| record.sensor.0 = u32::MAX);
            }
            "nondeterministic" if count % 2 == 1 => drop(batch.take_all()),
            "endless" => return Ok(Flow::More),
            _ => {}
        }
        Ok(Flow::Done)
    }
}

/// The source.
pub struct Count {
    sensor: SensorId,
}

impl Source for Count {
    type Settings = NoSettings;

    fn describe(_: &NoSettings) -> Description {
        Description::source()
    }

    fn open(_: NoSettings, host: &Host) -> Result<Self, PluginError> {
        Ok(Self { sensor: host.sensor("count")? })
    }

    fn fill(&mut self, out: &mut Batch<'_>, wait_until_ns: i64) -> Result<Fill, PluginError> {
        let now_ns = out.now_ns();
        let record = Record { timestamp_ns: now_ns, sensor: self.sensor, ..Record::default() };
        match fault() {
            "fill-panics" => panic!("nothing to count"),
            "fill-ends" => return Ok(Fill::Finished),
            "fill-idle-in-the-past" => return Ok(Fill::IdleUntil(now_ns - 1)),
            "fill-idle-for-ever" => return Ok(Fill::IdleUntil(now_ns + 400 * 24 * 3600 * 1_000_000_000)),
            "fill-unknown-sensor" => {
                out.push(Record { sensor: SensorId(u32::MAX), ..record });
            }
            "fill-reserved-bits" => {
                out.push(Record { quality: Quality(0x8000), ..record });
            }
            "fill-deaf" if wait_until_ns > now_ns => {
                std::thread::sleep(Duration::from_millis(2500));
            }
            _ => {
                out.push(record);
            }
        }
        Ok(Fill::Produced)
    }
}

/// Settings of the sink, with a schema that is not theirs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Misread {
    #[serde(rename = "limit")]
    _limit: f64,
}

impl JsonSchema for Misread {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Misread".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        match fault() {
            "schema-of-other-settings" => schemars::json_schema!({
                "type": "object",
                "properties": { "limit": { "type": "number" }, "bound": { "type": "number" } },
                "required": ["bound"],
            }),
            "schema-panics" => panic!("no schema today"),
            _ => schemars::json_schema!({
                "type": "object",
                "properties": { "limit": { "type": "number" } },
                "required": ["limit"],
            }),
        }
    }
}

/// The sink.
pub struct Swallow;

impl Sink for Swallow {
    type Settings = Misread;

    fn describe(_: &Misread) -> Description {
        Description::sink()
    }

    fn open(_: Misread, _: &Host) -> Result<Self, PluginError> {
        Ok(Self)
    }

    fn write(&mut self, batch: &Delivery<'_>) -> Result<(), PluginError> {
        match fault() {
            "write-panics" => assert!(batch.records().len() < 3, "too many"),
            "write-rejects-undeclared" => batch.reject("unfit", 1),
            _ => {}
        }
        Ok(())
    }

    fn commit(&mut self, _: u64) -> Result<Commit, PluginError> {
        match fault() {
            "commit-fails" => Err(PluginError::new("the disk is full")),
            _ => Ok(Commit::Committed),
        }
    }
}

unsafe extern "C" fn open_by_hand(
    settings: Bytes,
    host: *const HostTable,
    instance: *mut *mut Instance,
    call: *mut Call,
) -> Outcome {
    match fault() {
        "open-gives-nothing" => return Outcome::OK,
        "open-answers-oddly" => return Outcome(77),
        _ => {}
    }
    let Some(open) = SDK_STAGE.common.open else { return Outcome::FAILED };
    // SAFETY: handed on as it came.
    unsafe { open(settings, host, instance, call) }
}

unsafe extern "C" fn process_by_hand(
    instance: *mut Instance,
    batch: *mut RawBatch,
    outputs: *mut RawOutputs,
    call: *mut Call,
) -> Outcome {
    /// Not the host's memory.
    static OTHER: AtomicPtr<Record> = AtomicPtr::new(null_mut());
    // SAFETY: the host lends batch and outputs for the call; what is done with them is wrong on purpose, and done to the
    // vetting child's guarded memory.
    unsafe {
        let (records, len, capacity) = ((*batch).records, (*batch).len as usize, (*batch).capacity as usize);
        match fault() {
            "more-than-capacity" => (*batch).len = (*batch).capacity + 1,
            "swaps-records" => {
                let other = Box::leak(vec![Record::default(); capacity].into_boxed_slice()).as_mut_ptr();
                OTHER.store(other, Ordering::Relaxed);
                (*batch).records = other;
            }
            "swaps-capacity" => (*batch).capacity *= 2,
            "swaps-output" => (*(*outputs).main).records = records,
            "writes-behind" => records.add(capacity).cast::<u8>().write_volatile(1),
            "writes-behind-when-full" if len == capacity => {
                records.add(len).write_volatile(Record::default());
            }
            "reads-behind" => drop(records.add(capacity).cast::<u8>().read_volatile()),
            "writes-before" => records.cast::<u8>().sub(1).write_volatile(1),
            "writes-behind-output" => {
                let main = (*outputs).main;
                (*main).records.add((*main).capacity as usize).cast::<u8>().write_volatile(1);
            }
            "keeps-batch" => {
                let kept = KEPT.swap(records, Ordering::Relaxed);
                if !kept.is_null() {
                    kept.write_volatile(Record::default());
                }
            }
            "thread-writes-later" => {
                KEPT.store(records, Ordering::Relaxed);
                std::thread::spawn(|| {
                    std::thread::sleep(Duration::from_millis(20));
                    KEPT.load(Ordering::Relaxed).write_volatile(Record::default());
                });
            }
            "answers-oddly" => return Outcome(99),
            _ => {}
        }
        let Some(process) = SDK_STAGE.process else { return Outcome::FAILED };
        process(instance, batch, outputs, call)
    }
}

unsafe extern "C" fn write_by_hand(
    instance: *mut Instance,
    batch: *const RawBatch,
    call: *mut Call,
) -> Outcome {
    // SAFETY: as in `process_by_hand`.
    unsafe {
        let records = (*batch).records;
        match fault() {
            "sink-writes" if (*batch).len > 0 => (*records).value = 7.0,
            "sink-reads-behind" => drop(records.add((*batch).capacity as usize).cast::<u8>().read_volatile()),
            "sink-keeps-batch" => {
                let kept = KEPT.swap(records, Ordering::Relaxed);
                if !kept.is_null() {
                    let _ = kept.read_volatile();
                }
            }
            _ => {}
        }
        let Some(write) = SDK_SINK.write else { return Outcome::FAILED };
        write(instance, batch, call)
    }
}

unsafe extern "C" fn commit_by_hand(instance: *mut Instance, epoch: u64, call: *mut Call) -> Outcome {
    if at_fault("commit-retries-in-the-past") {
        // SAFETY: the host lends the call.
        unsafe { (*call).wait_until_ns = (*call).now_ns - 1_000_000 };
        return Outcome::RETRY;
    }
    let Some(commit) = SDK_SINK.commit else { return Outcome::FAILED };
    // SAFETY: handed on as it came.
    unsafe { commit(instance, epoch, call) }
}

unsafe extern "C" fn fill_by_hand(instance: *mut Instance, batch: *mut RawBatch, call: *mut Call) -> Outcome {
    // SAFETY: as in `process_by_hand`.
    unsafe {
        match fault() {
            "fill-behind" => (*batch).records.add((*batch).capacity as usize).cast::<u8>().write_volatile(1),
            "fill-too-many" => (*batch).len = (*batch).capacity + 1,
            _ => {}
        }
        let Some(fill) = SDK_SOURCE.fill else { return Outcome::FAILED };
        let len = (*batch).len;
        let outcome = fill(instance, batch, call);
        if at_fault("fill-too-many") {
            (*batch).len = len;
        }
        outcome
    }
}

unsafe extern "C" fn group_by_hand(id: u32) -> *const Group {
    match fault() {
        "half-a-group" if id == Group::STATE => &raw const HALF_GROUP.0,
        "group-of-another-layout" if id == Group::STATE => &raw const OTHER_LAYOUT.0,
        "group-of-another-id" if id == Group::STATE => &raw const OTHER_ID.0,
        "group-for-any-id" => &raw const OTHER_ID.0,
        "group-nowhere" if id == Group::STATE => std::ptr::without_provenance(4096),
        _ => std::ptr::null(),
    }
}

// SAFETY: the SDK's own tables, which stay.
const SDK_STAGE: StageVtable = unsafe { *stage::<Pass>("stage").stage };
// SAFETY: as above.
const SDK_SOURCE: SourceVtable = unsafe { *source::<Count>("source").source };
// SAFETY: as above.
const SDK_SINK: SinkVtable = unsafe { *sink::<Swallow>("sink").sink };

const STAGE: StageVtable = StageVtable {
    common: CommonVtable { open: Some(open_by_hand), get_group: Some(group_by_hand), ..SDK_STAGE.common },
    process: Some(process_by_hand),
    ..SDK_STAGE
};

/// A table as the words that it is made of.
#[derive(Clone, Copy)]
#[repr(C)]
union Words {
    table: StageVtable,
    words: [*const c_void; 9],
}

/// Which word is `process`.
const PROCESS: usize = 6;

/// For statics that nobody writes to after the library was loaded.
#[repr(transparent)]
struct Shared<T>(T);

// SAFETY: read only.
unsafe impl<T> Sync for Shared<T> {}

unsafe extern "C" {
    fn getpid() -> i32;
}

const fn with_process(leads_to: *const c_void) -> Words {
    let mut table = Words { table: STAGE };
    // SAFETY: all of it is words.
    unsafe { table.words[PROCESS] = leads_to };
    table
}

static GARBAGE: [u64; 64] = [0x4141_4141_4141_4141; 64];
static IN_LIBC: Shared<Words> = Shared(with_process(getpid as *const c_void));
static IN_DATA: Shared<Words> = Shared(with_process((&raw const GARBAGE).cast()));
static mut WRITABLE: StageVtable = STAGE;

static HALF: StateGroup =
    StateGroup { size: size_of::<StateGroup>(), version: 1, reserved: 0, snapshot: None, restore: None };
const fn group(
    id: u32,
    layout: &'static cardcage_plugin_api::__private::abi_stable::type_layout::TypeLayout,
) -> Group {
    Group { id, reserved: 0, layout, table: (&raw const HALF).cast() }
}
static HALF_GROUP: Shared<Group> = Shared(group(Group::STATE, StateGroup::LAYOUT));
static OTHER_LAYOUT: Shared<Group> = Shared(group(Group::STATE, BatchHeader::LAYOUT));
static OTHER_ID: Shared<Group> = Shared(group(9, StateGroup::LAYOUT));

const fn types(stage_table: *const StageVtable) -> Shared<[ComponentType; 3]> {
    Shared([
        ComponentType { stage: stage_table, ..stage::<Pass>("stage") },
        ComponentType {
            source: &SourceVtable { fill: Some(fill_by_hand), ..SDK_SOURCE },
            ..source::<Count>("source")
        },
        ComponentType {
            sink: &SinkVtable { write: Some(write_by_hand), commit: Some(commit_by_hand), ..SDK_SINK },
            ..sink::<Swallow>("sink")
        },
    ])
}

/// The first type under another name.
const fn named(name: Bytes) -> Shared<[ComponentType; 3]> {
    let Shared([first, source, sink]) = types(&STAGE);
    Shared([ComponentType { name, ..first }, source, sink])
}

static GOOD: Shared<[ComponentType; 3]> = types(&STAGE);
static NULL_PROCESS: Shared<[ComponentType; 3]> = types(&StageVtable { process: None, ..STAGE });
static SHORT: Shared<[ComponentType; 3]> =
    types(&StageVtable { common: CommonVtable { size: 64, ..STAGE.common }, ..STAGE });
static NAMELESS: Shared<[ComponentType; 3]> = named(Bytes { ptr: b"x".as_ptr(), len: 0 });
static NOT_UTF8: Shared<[ComponentType; 3]> = named(Bytes { ptr: b"caf\xe9".as_ptr(), len: 4 });
static NAME_NOWHERE: Shared<[ComponentType; 3]> = named(Bytes { ptr: std::ptr::null(), len: 5 });
static LIBC: Shared<[ComponentType; 3]> = types((&raw const IN_LIBC).cast());
static DATA: Shared<[ComponentType; 3]> = types((&raw const IN_DATA).cast());
static MISALIGNED: Shared<[ComponentType; 3]> =
    types((&raw const GARBAGE).cast::<u8>().wrapping_add(1).cast());
static OUTSIDE: Shared<[ComponentType; 3]> = types(std::ptr::without_provenance(4096));
static CHANGING: Shared<[ComponentType; 3]> = types(&raw const WRITABLE);

unsafe extern "C" fn components_by_hand(count: *mut usize) -> *const ComponentType {
    let types = match fault() {
        "null-function" => &NULL_PROCESS,
        "type-without-a-name" => &NAMELESS,
        "name-of-no-text" => &NOT_UTF8,
        "name-nowhere" => &NAME_NOWHERE,
        "short-table" => &SHORT,
        "function-in-libc" => &LIBC,
        "function-in-data" => &DATA,
        "misaligned-table" => &MISALIGNED,
        "table-nowhere" => &OUTSIDE,
        "writable-table" => &CHANGING,
        _ => &GOOD,
    };
    // SAFETY: the host lends a place for the count.
    unsafe {
        *count = match fault() {
            "no-types" => 0,
            "too-many-types" => 1_000_000,
            "more-types-than-there-are" => 200,
            _ => 3,
        }
    };
    types.0.as_ptr()
}

struct Plugin;

impl Library for Plugin {
    const MANIFEST: &'static [u8] = concat!(
        r#"{"manifest":1,"name":"faulty","version":"1.0.0","description":"fault: none                          ","abi":1,"#,
        r#""build":{"panic":"unwind","arch":""#,
        cfg_select! { target_arch = "aarch64" => { "aarch64" } _ => { "x86_64" } },
        r#"","api":"0.1.0"},"components":["#,
        r#"{"kind":"stage","name":"stage","capabilities":{"does":["deterministic"],"writes":[],"threads":1},"#,
        r#""permissions":{"read":["/etc/hostname"]},"#,
        r#""metrics":[{"name":"seen","kind":"counter","unit":"1"}],"probe":{"settings":{}}},"#,
        r#"{"kind":"source","name":"source","probe":{"settings":{}}},"#,
        r#"{"kind":"sink","name":"sink","probe":{"settings":{"limit":1.5}}}]}"#
    )
    .as_bytes();
    const COMPONENTS: &'static [ComponentType] = &[];
}

unsafe extern "C" fn attach_by_hand(host: *const HostTable) -> Outcome {
    if at_fault("attach-refuses") {
        return Outcome::FAILED;
    }
    // SAFETY: handed on as it came.
    unsafe { root::<Plugin>().attach()(host) }
}

const ROOT: &WithMetadata<Root> = &WithMetadata::new(Root {
    abi_version: ABI_VERSION,
    components: components_by_hand,
    attach: attach_by_hand,
});
const LATER_ROOT: &WithMetadata<Root> =
    &WithMetadata::new(Root { abi_version: 7, components: components_by_hand, attach: attach_by_hand });

/// The SDK's root with our own way to the component types.
fn root_by_hand() -> RootRef {
    match fault() {
        "root-panics" => panic!("no root today"),
        "root-of-another-version" => RootRef::from_prefix_ref(LATER_ROOT.static_as_prefix()),
        "root-on-the-heap" => {
            let mut copy: Vec<u64> = vec![0; size_of::<WithMetadata<Root>>().div_ceil(8)];
            let root = ROOT.static_as_prefix().to_raw_ptr();
            // SAFETY: both are as large as a root; the copy stays for good.
            unsafe {
                root.cast::<u8>().copy_to(copy.as_mut_ptr().cast(), size_of::<WithMetadata<Root>>());
                RootRef::from_prefix_ref(PrefixRef::from_raw(
                    copy.leak().as_ptr().cast::<WithMetadata<Root>>(),
                ))
            }
        }
        _ => RootRef::from_prefix_ref(ROOT.static_as_prefix()),
    }
}

/// Where `abi_stable`'s trial functions belong, which show that both sides pass values in the same way.
static NO_TRIALS: [extern "C" fn(); 16] = [no_trial; 16];
extern "C" fn no_trial() {}

/// Runs when the library is loaded, before anybody looks at the header, and makes a forged one of it.
extern "C" fn forge_header() {
    /// Words of the header, as the host reads them.
    const VERSION: usize = 9;
    const LAYOUT_TAG: usize = 11;
    const LAYOUT: usize = 12;
    const C_ABI_TESTS: usize = 13;
    const INITIALISER: usize = 14;
    let constructor = size_of::<LibHeader>() / size_of::<usize>() - 1;
    let garbage = (&raw const GARBAGE) as usize;
    let (word, value) = match fault() {
        "header-of-another-kind" => (0, garbage),
        "version-nowhere" => (VERSION, 4096),
        "no-layout" => (LAYOUT_TAG, 1),
        "layout-nowhere" => (LAYOUT, 4096),
        "layout-of-garbage" => (LAYOUT, garbage),
        "trials-nowhere" => (C_ABI_TESTS, 4096),
        "trials-that-do-nothing" => (C_ABI_TESTS, (&raw const NO_TRIALS) as usize),
        "initialiser-in-libc" => (INITIALISER, getpid as *const () as usize),
        "constructor-in-data" => (constructor, garbage),
        _ => return,
    };
    // SAFETY: one word of our own header, in data that can be written, before anybody reads it.
    unsafe { (&raw const HEADER).cast::<usize>().cast_mut().add(word).write_volatile(value) };
}

#[used]
#[unsafe(link_section = ".init_array")]
static FORGE: extern "C" fn() = forge_header;

extern "C" fn load() -> RootModuleResult {
    cardcage_plugin_api::__private::abi_stable::library::__call_root_module_loader(root_by_hand)
}

const MANIFEST: &[u8] = Plugin::MANIFEST;

#[used]
#[unsafe(link_section = ".note.cardcage")]
static NOTE: Note<{ MANIFEST.len() }> = Note::new(MANIFEST);

#[unsafe(export_name = "cardcage_manifest_v1")]
static MANIFEST_SYMBOL: [u8; MANIFEST.len()] = join(&[MANIFEST]);

// SAFETY: `load` gives a `RootRef`, the very type named here.
#[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
static HEADER: LibHeader = unsafe { LibHeader::from_constructor::<RootRef>(load, CheckTypeLayout::Yes) };
