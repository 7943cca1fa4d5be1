//! Has the right layout, and a function table with a hole in it.

#![expect(unsafe_code, reason = "a table that export_plugin! would not write")]

use cardcage_plugin_api::__private::abi_stable::library::{CheckTypeLayout, LibHeader, RootModuleResult};
use cardcage_plugin_api::__private::{Library, Note, join, root, stage};
use cardcage_plugin_api::abi::{ComponentType, RootRef, StageVtable};
use cardcage_plugin_api::prelude::*;

/// The stage.
pub struct Pass;

impl Stage for Pass {
    type Settings = NoSettings;

    fn describe(_: &NoSettings) -> Description {
        Description::stage()
    }

    fn open(_: NoSettings, _: &Host) -> Result<Self, PluginError> {
        Ok(Self)
    }

    fn process(&mut self, _: &mut Batch<'_>, _: &mut Outputs<'_>) -> Result<Flow, PluginError> {
        Ok(Flow::Done)
    }
}

// SAFETY: the stage's own table, which stays.
const FORGED: StageVtable = StageVtable { process: None, ..unsafe { *stage::<Pass>("pass").stage } };

struct Plugin;

impl Library for Plugin {
    const MANIFEST: &'static [u8] = concat!(
        r#"{"manifest":1,"name":"forged-table","version":"1.0.0","abi":1,"#,
        r#""build":{"panic":"unwind","arch":"x86_64","api":"0.1.0"},"#,
        r#""components":[{"kind":"stage","name":"pass","probe":{"settings":{}}}]}"#
    )
    .as_bytes();
    const COMPONENTS: &'static [ComponentType] = &[ComponentType { stage: &FORGED, ..stage::<Pass>("pass") }];
}

extern "C" fn load() -> RootModuleResult {
    cardcage_plugin_api::__private::abi_stable::library::__call_root_module_loader(root::<Plugin>)
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
