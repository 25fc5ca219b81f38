package mask

// jsonbVersion stands before the text in jsonb's binary form.
const jsonbVersion = 1

func canonicalJSONB(b []byte, bin bool) ([]byte, error) {
	if !bin {
		return b, nil
	}
	if len(b) == 0 || b[0] != jsonbVersion {
		return nil, ErrMalformed
	}
	return b[1:], nil
}

// appendJSONVersion writes what stands before a document.
func appendJSONVersion(dst []byte, k Kind, f Format) []byte {
	if k == KindJSONB && f == Binary {
		return append(dst, jsonbVersion)
	}
	return dst
}
