package scan

// minRun is the length of the words that are looked at.
const minRun = 16

// word looks at the word of minRun letters and digits or more that begins at start.
func (f *finder) word(start int) {
	f.worded = true
	end := start + minRun
	for end < len(f.b) && isAlnum(f.b[end]) {
		end++
	}
	f.run(start, end)
}
