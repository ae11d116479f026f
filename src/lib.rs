//! See where memory goes on a microcontroller, live.
#![forbid(unsafe_code)]

pub mod model;
pub mod region;
pub mod sampler;
pub mod source;
pub mod tui;
pub mod units;
