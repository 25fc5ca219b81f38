package mask

import (
	"bytes"
	"encoding/binary"
	"math"
)

// Dates and times count from 2000-01-01 (POSTGRES_EPOCH_JDATE), dates in days,
// the others in microseconds.
const (
	second = 1_000_000
	day    = 86_400 * second
)

// canonicalTime returns the count in 8 bytes. In text it reads the ISO date style.
func canonicalTime(dst []byte, k Kind, b []byte, bin bool) ([]byte, error) {
	n, err := readTime(k, b, bin)
	if err != nil {
		return nil, err
	}
	return binary.BigEndian.AppendUint64(dst, uint64(n)), nil //nolint:gosec // two's complement
}

func readTime(k Kind, b []byte, bin bool) (int64, error) {
	switch {
	case bin && k == KindDate && len(b) == 4:
		return widenDate(int32(binary.BigEndian.Uint32(b))), nil //nolint:gosec // signed on the wire
	case bin && k != KindDate && len(b) == 8:
		return int64(binary.BigEndian.Uint64(b)), nil //nolint:gosec // signed on the wire
	case bin:
		return 0, ErrMalformed
	case k == KindTime:
		return parseTime(b)
	default:
		return parseTimestamp(k, b)
	}
}

// widenDate keeps the infinities apart from dates.
func widenDate(n int32) int64 {
	switch n {
	case math.MaxInt32:
		return math.MaxInt64
	case math.MinInt32:
		return math.MinInt64
	default:
		return int64(n)
	}
}

func parseTimestamp(k Kind, b []byte) (int64, error) {
	switch string(b) {
	case "infinity":
		return math.MaxInt64, nil
	case "-infinity":
		return math.MinInt64, nil
	}
	b, bc := bytes.CutSuffix(b, []byte(" BC"))
	date, clock, hasClock := bytes.Cut(b, []byte{' '})
	if hasClock == (k == KindDate) {
		return 0, ErrMalformed
	}
	days, err := parseDate(date, bc)
	if err != nil || k == KindDate {
		return days, err
	}
	var offset int64
	if k == KindTimestampTZ {
		if clock, offset, err = cutOffset(clock); err != nil {
			return 0, err
		}
	}
	t, err := parseTime(clock)
	return days*day + t - offset, err
}

// parseDate reads a year of four to seven digits, month and day.
func parseDate(b []byte, bc bool) (int64, error) {
	n := len(b)
	if n < 10 || n > 13 || b[n-3] != '-' || b[n-6] != '-' {
		return 0, ErrMalformed
	}
	year, okYear := number(b[:n-6])
	month, okMonth := number(b[n-5 : n-3])
	d, okDay := number(b[n-2:])
	if !okYear || !okMonth || !okDay || year < 1 || month < 1 || month > 12 || d < 1 || d > 31 {
		return 0, ErrMalformed
	}
	if bc {
		year = 1 - year
	}
	return daysFromCivil(year, month, d), nil
}

// parseTime reads hh:mm:ss and a fraction of up to six digits.
func parseTime(b []byte) (int64, error) {
	clock, fraction, hasFraction := bytes.Cut(b, []byte{'.'})
	seconds, err := parseClock(clock)
	if err != nil || len(clock) != 8 {
		return 0, ErrMalformed
	}
	if !hasFraction {
		return seconds * second, nil
	}
	micros, ok := number(fraction)
	if !ok || len(fraction) > 6 {
		return 0, ErrMalformed
	}
	for range 6 - len(fraction) {
		micros *= 10
	}
	return seconds*second + micros, nil
}

// parseClock reads hh, hh:mm or hh:mm:ss as seconds.
func parseClock(b []byte) (int64, error) {
	if len(b) != 2 && len(b) != 5 && len(b) != 8 {
		return 0, ErrMalformed
	}
	var total int64
	unit := int64(3600)
	for i := 0; i < len(b); i += 3 {
		n, ok := number(b[i : i+2])
		if !ok || i > 0 && (b[i-1] != ':' || n > 60) || n > 24 && i == 0 {
			return 0, ErrMalformed
		}
		total += n * unit
		unit /= 60
	}
	return total, nil
}

// cutOffset takes the offset from UTC off a time and returns it in microseconds.
func cutOffset(b []byte) ([]byte, int64, error) {
	i := bytes.LastIndexAny(b, "+-")
	if i < 0 {
		return nil, 0, ErrMalformed
	}
	n, err := parseClock(b[i+1:])
	if b[i] == '-' {
		n = -n
	}
	return b[:i], n * second, err
}

// number reads one to seven digits.
func number(b []byte) (n int64, ok bool) {
	if len(b) > 7 || !isDigits(b) {
		return 0, false
	}
	for _, c := range b {
		n = 10*n + int64(c-'0')
	}
	return n, true
}

// daysFromCivil counts the days from 2000-01-01 to a date of the proleptic
// Gregorian calendar. Years begin in March here, so that the leap day is last.
func daysFromCivil(year, month, d int64) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	era := floorDiv(year, 400)
	y := year - 400*era
	dayOfYear := (153*(month-3)+2)/5 + d - 1
	const untilEpoch = 730_425 // from 0000-03-01 to 2000-01-01
	return era*146_097 + y*365 + y/4 - y/100 + dayOfYear - untilEpoch
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
