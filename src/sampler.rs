//! Paces the reads of a source and makes an observation of each refresh.

pub mod observation;
