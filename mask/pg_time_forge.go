package mask

import (
	"encoding/binary"
	"time"
)

// Forged dates lie between 1950 and 2049.
const (
	forgedFirst = -18_262 // 1950-01-01, in days from 2000-01-01
	forgedDays  = 36_525
)

// appendTime makes a date or time of whole seconds. It does not depend on the
// original other than by the seed.
func appendTime(dst []byte, k Kind, f Format, seed *seed) []byte {
	days := forgedFirst + int64(seed.number()%forgedDays)
	seconds := int64(binary.BigEndian.Uint32(seed[8:]) % 86_400)
	switch k {
	case KindDate:
		if f == Binary {
			return binary.BigEndian.AppendUint32(dst, uint32(days))
		}
		return civil(days, 0).AppendFormat(dst, time.DateOnly)
	case KindTime:
		if f == Binary {
			return binary.BigEndian.AppendUint64(dst, uint64(seconds*second))
		}
		return civil(0, seconds).AppendFormat(dst, time.TimeOnly)
	default:
		return appendTimestamp(dst, k, f, days, seconds)
	}
}

func appendTimestamp(dst []byte, k Kind, f Format, days, seconds int64) []byte {
	if f == Binary {
		return binary.BigEndian.AppendUint64(dst, uint64(days*day+seconds*second)) //nolint:gosec // two's complement
	}
	dst = civil(days, seconds).AppendFormat(dst, time.DateTime)
	if k == KindTimestampTZ {
		dst = append(dst, "+00"...)
	}
	return dst
}

func civil(days, seconds int64) time.Time {
	const epoch = 946_684_800 // 2000-01-01 in Unix time
	return time.Unix(epoch+days*86_400+seconds, 0).UTC()
}
