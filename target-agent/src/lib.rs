//! The block in RAM that tells highwater where a firmware's memory goes.
#![no_std]

pub mod layout;
