package sim

// dirSync says that folders can be synced; Windows has no such call, a rename
// there is in the journal of the file system.
const dirSync = false
