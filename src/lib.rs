//! See where memory goes on a microcontroller, live.
#![forbid(unsafe_code)]

pub mod app;
pub mod cli;
pub mod config;
pub mod heap;
pub mod image;
pub mod kernel;
pub mod memory;
pub mod model;
pub mod region;
pub mod report;
pub mod sampler;
#[cfg(feature = "simulator")]
pub mod simulator;
pub mod source;
pub mod stack;
pub mod units;
pub mod view;
