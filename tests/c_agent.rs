//! The agent in C writes the block that the agent in Rust writes, and the host sees a firmware in C as any other.
#![cfg(feature = "simulator")]

#[path = "c_agent/compilers.rs"]
mod compilers;
#[path = "c_agent/costs.rs"]
mod costs;
#[path = "c_agent/firmware.rs"]
mod firmware;
#[path = "c_agent/layout.rs"]
mod layout;
#[path = "c_agent/owners.rs"]
mod owners;
#[path = "c_agent/same_bytes.rs"]
mod same_bytes;
