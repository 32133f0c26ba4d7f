mod clerks;
pub(crate) mod rig;
