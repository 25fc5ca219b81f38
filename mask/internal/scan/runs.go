package scan

// minRun is the length of the words that runs finds.
const minRun = 16

// runs looks at every word of minRun letters and digits or more: one covers every
// place that it tries.
func (f *finder) runs() {
	b := f.b
	for i := minRun - 1; i < len(b); i += minRun {
		if !isAlnum(b[i]) {
			continue
		}
		start := i
		for start > 0 && isAlnum(b[start-1]) {
			start--
		}
		end := i + 1
		for end < len(b) && isAlnum(b[end]) {
			end++
		}
		if end-start >= minRun {
			f.worded = true
			f.run(start, end)
			if f.stop() {
				return
			}
		}
		i = end
	}
}
