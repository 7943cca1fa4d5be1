//! The core, tried from outside: text in, config, graph, plan and books out.

mod audit;
mod config;
mod drawing;
mod explanations;
mod graph;
mod hostile;
mod json_schema;
mod ledger;
mod ledger_flow;
mod ledger_sheet;
mod pipeline;
mod plan;
mod problems;
mod readings;
mod verdict;
mod wiring;
mod yaml;
