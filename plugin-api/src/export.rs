//! What `export_plugin!` expands to: the library's header, the note and the symbol, all from one [`Library`].
//!
//! One of the crate's few files with unsafe code.

use crate::abi::{ABI_VERSION, ComponentType, Root, RootRef};
use crate::manifest::{NOTE_NAME, NOTE_TYPE};
use crate::shim;
use abi_stable::library::{CheckTypeLayout, LibHeader, RootModule, RootModuleResult};
use abi_stable::prefix_type::WithMetadata;
use abi_stable::sabi_types::VersionStrings;
use std::marker::PhantomData;

pub use cardcage_plugin_macros::__export_plugin;

/// [`ABI_VERSION`] as text, for the manifest.
pub const ABI_VERSION_TEXT: &str = "1";
/// This crate's version, for the manifest.
pub const API_VERSION: &str = env!("CARGO_PKG_VERSION");

/// A plugin library's constant parts.
pub trait Library: 'static {
    /// The manifest as JSON.
    const MANIFEST: &'static [u8];
    /// The component types, in the manifest's order.
    const COMPONENTS: &'static [ComponentType];
}

impl RootModule for RootRef {
    abi_stable::declare_root_module_statics! {RootRef}
    const BASE_NAME: &'static str = "cardcage_plugin";
    const NAME: &'static str = "cardcage plugin";
    // The ABI's version, not the crate's: abi_stable compares it, and a newer SDK with the same ABI must load.
    const VERSION_STRINGS: VersionStrings = VersionStrings::new("1.0.0");
}

struct RootOf<L>(PhantomData<L>);

impl<L: Library> RootOf<L> {
    const ROOT: &'static WithMetadata<Root> = &WithMetadata::new(Root {
        abi_version: ABI_VERSION,
        components: components::<L>,
        attach: shim::attach,
    });
}

unsafe extern "C" fn components<L: Library>(count: *mut usize) -> *const ComponentType {
    // SAFETY: the host lends a place for the count.
    if let Some(count) = unsafe { count.as_mut() } {
        *count = L::COMPONENTS.len();
    }
    L::COMPONENTS.as_ptr()
}

/// The root of a library, as its header hands it out; also how plugins are linked statically.
pub fn root<L: Library>() -> RootRef {
    RootRef(RootOf::<L>::ROOT.static_as_prefix())
}

extern "C" fn load<L: Library>() -> RootModuleResult {
    abi_stable::library::__call_root_module_loader(root::<L>)
}

/// The header that the host looks up by name.
pub const fn header<L: Library>() -> LibHeader {
    // SAFETY: `load` gives a `RootRef`, the very type named here.
    unsafe { LibHeader::from_constructor::<RootRef>(load::<L>, CheckTypeLayout::Yes) }
}

/// An ELF note, laid out as the ELF specification wants it: three words, the owner's name padded to four bytes, the
/// description. `N` is the manifest's length.
#[repr(C)]
pub struct Note<const N: usize> {
    name_size: u32,
    description_size: u32,
    kind: u32,
    name: [u8; 12],
    description: [u8; N],
}

impl<const N: usize> Note<N> {
    /// The note that holds this manifest.
    ///
    /// # Panics
    /// At compile time, if the manifest is larger than the host reads.
    pub const fn new(manifest: &[u8]) -> Self {
        assert!(manifest.len() == N && N <= crate::manifest::MANIFEST_MAX_BYTES);
        let mut name = [0; 12];
        let mut at = 0;
        while at < NOTE_NAME.len() {
            name[at] = NOTE_NAME[at];
            at += 1;
        }
        Self {
            name_size: 9,
            #[expect(clippy::cast_possible_truncation, reason = "asserted above to be at most 256 KiB")]
            description_size: N as u32,
            kind: NOTE_TYPE,
            name,
            description: join(&[manifest]),
        }
    }
}

/// The length of all parts together.
pub const fn total_len(parts: &[&[u8]]) -> usize {
    let mut total = 0;
    let mut part = 0;
    while part < parts.len() {
        total += parts[part].len();
        part += 1;
    }
    total
}

/// All parts, one behind the other; `N` is their [`total_len`].
///
/// # Panics
/// At compile time, if `N` is not their total length.
pub const fn join<const N: usize>(parts: &[&[u8]]) -> [u8; N] {
    let mut joined = [0; N];
    let (mut part, mut at) = (0, 0);
    while part < parts.len() {
        let mut byte = 0;
        while byte < parts[part].len() {
            joined[at] = parts[part][byte];
            at += 1;
            byte += 1;
        }
        part += 1;
    }
    assert!(at == N);
    joined
}

/// Declares a plugin: its manifest, its component types, its library header.
///
/// ```
/// use cardcage_plugin_api::prelude::*;
///
/// struct Pass;
///
/// impl Stage for Pass {
///     type Settings = NoSettings;
///     fn describe(_: &NoSettings) -> Description {
///         Description::stage()
///     }
///     fn open(_: NoSettings, _: &Host) -> Result<Self, PluginError> {
///         Ok(Self)
///     }
///     fn process(&mut self, _: &mut Batch<'_>, _: &mut Outputs<'_>) -> Result<Flow, PluginError> {
///         Ok(Flow::Done)
///     }
/// }
///
/// export_plugin! {
///     name: "pass",
///     description: "passes everything on",
///     components: [stage Pass { deterministic, parallel_by_sensor }],
///     probe: {},
/// }
/// # fn main() {}
/// ```
///
/// At the top: `name`, `description` and `version` (the crate's version unless given), `components`, and a `probe`
/// for components that have none of their own.
///
/// A component is `KIND Type { … }` or `KIND Type as "name" { … }` (without it the name is the type's, in snake
/// case). In the braces, each optional: capabilities (`drops`, `creates`, `reorders`, `holds`, `deterministic`,
/// `parallel_by_sensor`, `finite`, `replayable`, `acknowledged`, `idempotent`, `transactional`, `state`, `ticks`),
/// `writes: [timestamp, value, sensor, unit, quality]`, `threads: 2`, permissions (`read: ["/proc", settings.path]`,
/// `write`, `connect`, `listen`, `exec`, `devices`), `metrics: [counter "clipped" { unit: "1", help: "…", min: 0.0, max: 1e6, largest_step: 10.0 }]`,
/// `description: "…"`, and `probe: { min: 0 }` (settings) or `probe: none("reason")`.
#[macro_export]
macro_rules! export_plugin {
    ($($body:tt)*) => {
        $crate::__private::__export_plugin! { [$crate] $($body)* }
    };
}

/// The items of `export_plugin!` that carry unsafe attributes. They are here, and not in the procedural macro,
/// because a `macro_rules!` of another crate may write them in a crate that forbids unsafe code.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_items {
    ($library:ty, [$($part:expr),* $(,)?], [$($component:expr),* $(,)?]) => {
        impl $crate::__private::Library for $library {
            const MANIFEST: &'static [u8] = {
                const PARTS: &[&[u8]] = &[
                    $(str::as_bytes($part),)*
                    b",\"abi\":",
                    str::as_bytes($crate::__private::ABI_VERSION_TEXT),
                    b",\"build\":{\"panic\":\"",
                    if ::core::cfg!(panic = "unwind") { b"unwind" } else { b"abort" },
                    b"\",\"arch\":\"",
                    str::as_bytes(::std::env::consts::ARCH),
                    b"\",\"api\":\"",
                    str::as_bytes($crate::__private::API_VERSION),
                    b"\",\"features\":\"",
                    $crate::__cpu_features!(
                        // x86_64
                        "adx", "aes", "avx", "avx2", "avx512bf16", "avx512bitalg", "avx512bw", "avx512cd", "avx512dq",
                        "avx512f", "avx512fp16", "avx512ifma", "avx512vbmi", "avx512vbmi2", "avx512vl", "avx512vnni",
                        "avx512vp2intersect", "avx512vpopcntdq", "avxifma", "avxneconvert", "avxvnni", "avxvnniint16",
                        "avxvnniint8", "bmi1", "bmi2", "cmpxchg16b", "f16c", "fma", "fxsr", "gfni", "kl", "lzcnt",
                        "movbe", "pclmulqdq", "popcnt", "rdrand", "rdseed", "sha", "sha512", "sm3", "sm4", "sse", "sse2",
                        "sse3", "sse4.1", "sse4.2", "sse4a", "ssse3", "tbm", "vaes", "vpclmulqdq", "widekl", "xsave",
                        "xsavec", "xsaveopt", "xsaves",
                        // aarch64, but for those that have a name above
                        "bf16", "bti", "crc", "dit", "dotprod", "dpb", "dpb2", "f32mm", "f64mm", "fcma", "fhm", "flagm",
                        "fp16", "frintts", "i8mm", "jsconv", "lse", "mte", "neon", "paca", "pacg", "rand", "rcpc",
                        "rcpc2", "rdm", "sb", "sha2", "sha3", "ssbs", "sve", "sve2", "sve2-aes", "sve2-bitperm",
                        "sve2-sha3", "sve2-sm4"
                    ),
                    b"\"}}",
                ];
                const JOINED: [u8; $crate::__private::total_len(PARTS)] = $crate::__private::join(PARTS);
                &JOINED
            };
            const COMPONENTS: &'static [$crate::__private::ComponentType] = &[$($component),*];
        }

        $crate::__export_symbols!($library);
    };
}

/// The CPU features, among those listed, that the crate being compiled may use: each with a space behind it.
///
/// A macro, so that `cfg!` is asked where the plugin is compiled.
#[doc(hidden)]
#[macro_export]
macro_rules! __cpu_features {
    ($($feature:literal),* $(,)?) => {{
        const FEATURES: &[&[u8]] = &[
            $(if ::core::cfg!(target_feature = $feature) { ::core::concat!($feature, " ").as_bytes() } else { b"" }),*
        ];
        const JOINED: [u8; $crate::__private::total_len(FEATURES)] = $crate::__private::join(FEATURES);
        &JOINED
    }};
}

/// The symbols of a shared library. Two plugins in one binary would clash on them, so a build with
/// `--cfg cardcage_static` has none.
#[cfg(not(cardcage_static))]
#[doc(hidden)]
#[macro_export]
macro_rules! __export_symbols {
    ($library:ty) => {
        const _: () = {
            const MANIFEST: &[u8] = <$library as $crate::__private::Library>::MANIFEST;

            #[used]
            #[unsafe(link_section = ".note.cardcage")]
            static NOTE: $crate::__private::Note<{ MANIFEST.len() }> = $crate::__private::Note::new(MANIFEST);

            #[unsafe(export_name = "cardcage_manifest_v1")]
            static MANIFEST_SYMBOL: [u8; MANIFEST.len()] = $crate::__private::join(&[MANIFEST]);

            #[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
            static HEADER: $crate::__private::LibHeader = $crate::__private::header::<$library>();
        };
    };
}

/// No symbols: for linking several plugins into one binary.
#[cfg(cardcage_static)]
#[doc(hidden)]
#[macro_export]
macro_rules! __export_symbols {
    ($library:ty) => {};
}
