package record

var (
	_ Prompter = (*dirLog)(nil)
	_ Prompter = (*memoryLog)(nil)
)

// Prompt reports that Append does not wait for the storage: it does in Durable
// mode only.
func (l *dirLog) Prompt() bool { return l.dir.cfg.Mode != Durable }

// Prompt reports true: there is no storage.
func (l *memoryLog) Prompt() bool { return true }
