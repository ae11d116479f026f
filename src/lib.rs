//! See where memory goes on a microcontroller, live: the flash and RAM of a running firmware in address order, heap
//! use and stack high-water marks, over SWD, without stopping the core.
//!
//! ```text
//! source ──> sampler ──> Observation ──> model ──> report ──> text, json, svg
//!   |        (own OS       (latest        (pure)      \
//!   |         thread)       wins)                       └──> tui
//! ```
//!
//! ARCHITECTURE.md says why it is so, and which test keeps each of its invariants.
#![forbid(unsafe_code)]

pub mod amount;
pub mod app;
pub mod check;
pub mod cli;
pub mod config;
pub mod console;
pub mod doctor;
pub mod fault;
pub mod heap;
pub mod image;
pub mod inventory;
pub mod kernel;
pub mod memory;
pub mod model;
pub mod recording;
pub mod region;
pub mod report;
pub mod sampler;
#[cfg(feature = "simulator")]
pub mod simulator;
pub mod sizing;
pub mod source;
pub mod stack;
pub mod tui;
pub mod units;
pub mod view;
