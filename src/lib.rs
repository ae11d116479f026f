//! See where memory goes on a microcontroller, live.
#![forbid(unsafe_code)]

pub mod model;
pub mod region;
pub mod sampler;
#[cfg(feature = "simulator")]
pub mod simulator;
pub mod source;
pub mod units;
