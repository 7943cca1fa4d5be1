//! The ABI between Cardcage and its plugins, and the SDK that plugin authors write against: safe Rust only.
//!
//! A plugin is a crate with `crate-type = ["cdylib", "rlib"]` that depends on this crate (and on serde, for its
//! settings), implements [`Source`], [`Stage`] or [`Sink`], and names them in [`export_plugin!`], whose page has a
//! whole plugin as its example.
//!
//! - [`record`]: the 24-byte record. [`Batch`], [`Outputs`], [`Delivery`]: views of the batches lent for a call.
//! - [`abi`]: every type and function that crosses the boundary, with its contract. Authors don't need it.
//! - [`manifest`] and [`describe`]: what a plugin says of itself, read by host and plugin alike.

pub mod abi;
mod backoff;
mod batch;
pub mod describe;
mod export;
mod host;
mod log;
pub mod manifest;
mod plugin;
pub mod quantity;
pub mod record;
mod setting;
mod shim;
#[cfg(feature = "testing")]
pub mod testing;
pub mod units;

pub use backoff::Backoff;
pub use batch::{Batch, Delivery, Fate, Outputs, Port};
pub use describe::{Description, UnitRules};
pub use host::{Counter, DictionaryFull, Gauge, Histogram, Host, Sensor, SensorCache, Thread};
pub use plugin::{Commit, Fill, Flow, NoSettings, PluginError, Settings, Sink, Source, Stage, State};
pub use record::{Quality, Record, SensorId, Status, UnitId};
pub use setting::{ByteSize, Interval};

pub use cardcage_plugin_macros::settings;
pub use schemars;
pub use serde;
pub use serde_json;
pub use tracing;

/// Everything that a plugin usually needs: `use cardcage_plugin_api::prelude::*;`.
pub mod prelude {
    pub use crate::describe::{Description, UnitRules};
    pub use crate::manifest::{Capability, Field};
    pub use crate::plugin::{Commit, Fill, Flow, NoSettings, PluginError, Sink, Source, Stage, State};
    pub use crate::record::{Quality, Record, SensorId, Status, UnitId};
    pub use crate::setting::{ByteSize, Interval};
    pub use crate::{Batch, Delivery, Fate, Host, Outputs, Port, SensorCache, export_plugin, settings};
    pub use schemars::{self, JsonSchema};
    pub use serde::{self, Deserialize};
}

/// For `export_plugin!` and for the host; not part of what authors write.
#[doc(hidden)]
pub mod __private {
    pub use crate::abi::{ABI_VERSION, ComponentType};
    pub use crate::export::{
        __export_plugin, ABI_VERSION_TEXT, API_VERSION, Library, Note, header, join, root, total_len,
    };
    pub use crate::shim::{sink, sink_with_state, source, source_with_state, stage, stage_with_state};
    pub use abi_stable;
    pub use abi_stable::library::LibHeader;
}
