//! The core, tried from outside: text in, config, graph, plan and books out.

mod config;
mod explanations;
mod graph;
mod json_schema;
mod ledger;
mod pipeline;
mod plan;
mod problems;
mod yaml;
