// Counts and reports what does not hold.
#pragma once
#include <cstdio>

inline int& Failures()
{
	static int Count = 0;
	return Count;
}

inline int Done(int Checks)
{
	std::printf("%d checked\n", Checks);
	return Failures() == 0 ? 0 : 1;
}

inline int& Checks()
{
	static int Count = 0;
	return Count;
}

#define EXPECT(Expression) \
	do { \
		++Checks(); \
		if (!(Expression)) { ++Failures(); std::printf("%s:%d: %s\n", __FILE__, __LINE__, #Expression); } \
	} while (false)
