//! The pure part of Cardcage: what a pipeline is, before anything of it runs.
//!
//! Text goes in at [`config::parse`] and comes out as a [`config::Config`] in which everything is checked, or as
//! [`diagnostic::Diagnostics`] that name every problem with its place. With the descriptions of its components a
//! config becomes a [`graph::Graph`] ([`graph::wiring::check`]), two graphs become a [`plan::Plan`], and what
//! components and edges counted becomes the [`ledger::Books`].
//!
//! Nothing here reads a file, a clock or the environment, starts a thread or calls a plugin: what is needed of the
//! outside comes in as an argument (see [`config::Environment`]).

#![forbid(unsafe_code)]

pub mod audit;
pub mod codes;
pub mod config;
pub mod diagnostic;
pub mod graph;
pub mod ledger;
pub mod naming;
pub mod plan;
pub mod plugin_file;
pub mod printable;
pub mod verdict;
pub mod yaml;
