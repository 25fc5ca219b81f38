#include "textflag.h"

// A byte's classes are what a table has for its upper four bits and one for its
// lower four bits have in common; bytes beyond ASCII have none. The bits, from the
// highest: digits, letters of the columns 4 and 6 of ASCII, those of 5 and 7,
// pairs, '@', joints, gaps, signs. Both tables are there twice, for both lanes.

DATA upper<>+0x00(SB)/8, $0x2040204890070000
DATA upper<>+0x08(SB)/8, $0x0000000000000000
DATA upper<>+0x10(SB)/8, $0x2040204890070000
DATA upper<>+0x18(SB)/8, $0x0000000000000000
GLOBL upper<>(SB), RODATA|NOPTR, $32

DATA lower<>+0x00(SB)/8, $0xe0e0e0e0e0e0e0aa
DATA lower<>+0x08(SB)/8, $0x424454404170e1e0
DATA lower<>+0x10(SB)/8, $0xe0e0e0e0e0e0e0aa
DATA lower<>+0x18(SB)/8, $0x424454404170e1e0
GLOBL lower<>(SB), RODATA|NOPTR, $32

DATA nibble<>+0x00(SB)/8, $0x0f0f0f0f0f0f0f0f
GLOBL nibble<>(SB), RODATA|NOPTR, $8

// sought has the classes without which only words are looked for: digits, pairs, '@'.
DATA sought<>+0x00(SB)/8, $0x9898989898989898
GLOBL sought<>(SB), RODATA|NOPTR, $8

DATA zero<>+0x00(SB)/8, $0x3030303030303030
GLOBL zero<>(SB), RODATA|NOPTR, $8

// From ahead+32-n on, n bytes are all ones, and then 32-n are not.
DATA ahead<>+0x00(SB)/8, $0xffffffffffffffff
DATA ahead<>+0x08(SB)/8, $0xffffffffffffffff
DATA ahead<>+0x10(SB)/8, $0xffffffffffffffff
DATA ahead<>+0x18(SB)/8, $0xffffffffffffffff
DATA ahead<>+0x20(SB)/8, $0
DATA ahead<>+0x28(SB)/8, $0
DATA ahead<>+0x30(SB)/8, $0
DATA ahead<>+0x38(SB)/8, $0
GLOBL ahead<>(SB), RODATA|NOPTR, $64

// CLASSES makes of the bytes in x their classes, and in z which are '0'.
#define CLASSES(x, z) \
	VPCMPEQB x, Y7, z  \
	VPSHUFB  x, Y5, Y8 \
	VPSRLW   $4, x, x  \
	VPAND    x, Y6, x  \
	VPSHUFB  x, Y4, x  \
	VPAND    x, Y8, x

// BOTH stores the highest bits of the bytes in x, and CX further on in y.
#define BOTH(x, y, field) \
	VPMOVMSKB x, AX     \
	VPMOVMSKB y, DX     \
	SHLXQ     CX, DX, DX \
	ORQ       DX, AX    \
	MOVQ      AX, field(DI)

#define NEXT(x) VPADDB x, x, x

// func classifyAVX2(c *classes, p *byte, n int)
TEXT ·classifyAVX2(SB), NOSPLIT, $64-24
	MOVQ         c+0(FP), DI
	MOVQ         p+8(FP), SI
	MOVQ         n+16(FP), CX
	VMOVDQU      upper<>(SB), Y4
	VMOVDQU      lower<>(SB), Y5
	VPBROADCASTQ nibble<>(SB), Y6
	VPBROADCASTQ zero<>(SB), Y7
	CMPQ         CX, $32
	JBE          short

	VMOVDQU -32(SI)(CX*1), Y1
	VMOVDQU (SI), Y0
	SUBQ    $32, CX
	CLASSES(Y0, Y2)
	CLASSES(Y1, Y3)
	VPOR    Y0, Y1, Y8
	VPBROADCASTQ sought<>(SB), Y9
	VPTEST  Y8, Y9
	JZ      prose
	BOTH(Y0, Y1, 0)
	NEXT(Y0)
	NEXT(Y1)
	VPADDB  Y0, Y0, Y8
	VPADDB  Y1, Y1, Y9
	VPOR    Y0, Y8, Y0
	VPOR    Y1, Y9, Y1
	BOTH(Y0, Y1, 8)
	NEXT(Y8)
	NEXT(Y9)
	BOTH(Y8, Y9, 16)
	NEXT(Y8)
	NEXT(Y9)
	BOTH(Y8, Y9, 24)
	NEXT(Y8)
	NEXT(Y9)
	BOTH(Y8, Y9, 32)
	NEXT(Y8)
	NEXT(Y9)
	BOTH(Y8, Y9, 40)
	NEXT(Y8)
	NEXT(Y9)
	BOTH(Y8, Y9, 48)
	BOTH(Y2, Y3, 56)
	VZEROUPPER
	RET

prose:
	NEXT(Y0)
	NEXT(Y1)
	VPADDB Y0, Y0, Y8
	VPADDB Y1, Y1, Y9
	VPOR   Y0, Y8, Y0
	VPOR   Y1, Y9, Y1
	BOTH(Y0, Y1, 8)
	VZEROUPPER
	RET

short:
	MOVQ SI, AX
	ANDQ $4095, AX
	CMPQ AX, $4064
	JA   across
	VMOVDQU (SI), Y0

loaded:
	LEAQ    ahead<>+32(SB), AX
	SUBQ    CX, AX
	VMOVDQU (AX), Y1
	CLASSES(Y0, Y2)
	VPAND     Y0, Y1, Y0
	VPAND     Y2, Y1, Y2
	VPMOVMSKB Y0, AX
	MOVQ      AX, 0(DI)
	NEXT(Y0)
	VPADDB    Y0, Y0, Y8
	VPOR      Y0, Y8, Y0
	VPMOVMSKB Y0, AX
	MOVQ      AX, 8(DI)
	NEXT(Y8)
	VPMOVMSKB Y8, AX
	MOVQ      AX, 16(DI)
	NEXT(Y8)
	VPMOVMSKB Y8, AX
	MOVQ      AX, 24(DI)
	NEXT(Y8)
	VPMOVMSKB Y8, AX
	MOVQ      AX, 32(DI)
	NEXT(Y8)
	VPMOVMSKB Y8, AX
	MOVQ      AX, 40(DI)
	NEXT(Y8)
	VPMOVMSKB Y8, AX
	MOVQ      AX, 48(DI)
	VPMOVMSKB Y2, AX
	MOVQ      AX, 56(DI)
	VZEROUPPER
	RET

	// The next page may not be there: the bytes that end where the text does are
	// loaded instead, and moved to the front.
across:
	VMOVDQU -32(SI)(CX*1), Y0
	VMOVDQU Y0, scratch-64(SP)
	LEAQ    scratch-64(SP), AX
	SUBQ    CX, AX
	VMOVDQU 32(AX), Y0
	JMP     loaded

// func hasAVX2() bool
//
// AVX2 and BMI2, and that the system keeps the wide registers.
TEXT ·hasAVX2(SB), NOSPLIT, $0-1
	MOVB  $0, ret+0(FP)
	XORL  AX, AX
	CPUID
	CMPL  AX, $7
	JLT   no
	MOVL  $1, AX
	XORL  CX, CX
	CPUID
	ANDL  $0x18000000, CX // OSXSAVE and AVX
	CMPL  CX, $0x18000000
	JNE   no
	XORL  CX, CX
	XGETBV
	ANDL  $6, AX // XMM and YMM
	CMPL  AX, $6
	JNE   no
	MOVL  $7, AX
	XORL  CX, CX
	CPUID
	ANDL  $0x120, BX // AVX2 and BMI2
	CMPL  BX, $0x120
	JNE   no
	MOVB  $1, ret+0(FP)

no:
	RET
