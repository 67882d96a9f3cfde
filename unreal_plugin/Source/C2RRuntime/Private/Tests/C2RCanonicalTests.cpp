// Session Frontend > Automation > C2R.Canonical: the conversions on numbers worked out by hand.
#include "C2RCanonical.h"
#include "CoreMinimal.h"
#include "Misc/AutomationTest.h"

#if WITH_DEV_AUTOMATION_TESTS

IMPLEMENT_SIMPLE_AUTOMATION_TEST(FC2RDepthTest, "C2R.Canonical.Depth", EAutomationTestFlags::EditorContext | EAutomationTestFlags::ClientContext | EAutomationTestFlags::EngineFilter)

bool FC2RDepthTest::RunTest(const FString& Parameters)
{
	const C2R::FDepthProjection Reversed = C2R::DepthOfPlanes(10.0, 0.0, true, true);
	TestEqual(TEXT("near plane"), C2R::UnitsFromDevice(1.0, Reversed), 10.0, 1e-9);
	TestEqual(TEXT("a tenth is ten times as far"), C2R::UnitsFromDevice(0.1, Reversed), 100.0, 1e-9);
	TestFalse(TEXT("the sky has no surface"), FMath::IsFinite(C2R::UnitsFromDevice(0.0, Reversed)));
	return true;
}

IMPLEMENT_SIMPLE_AUTOMATION_TEST(FC2RMotionTest, "C2R.Canonical.Motion", EAutomationTestFlags::EditorContext | EAutomationTestFlags::ClientContext | EAutomationTestFlags::EngineFilter)

bool FC2RMotionTest::RunTest(const FString& Parameters)
{
	const C2R::FPair Moved = C2R::MotionFromVelocity({0.5, -0.25}, 200.0, 100.0);
	TestEqual(TEXT("what moved right was further left"), Moved.X, -50.0, 1e-9);
	TestEqual(TEXT("what moved down was further up"), Moved.Y, -12.5, 1e-9);
	const C2R::FPair Still = C2R::MotionOfStatic(10.0, 20.0, 0.1, C2R::FMatrix4(), 200.0, 100.0);
	TestEqual(TEXT("nothing moves while the camera stands"), Still.X, 0.0, 1e-9);
	TestEqual(TEXT("nothing moves while the camera stands"), Still.Y, 0.0, 1e-9);
	return true;
}

IMPLEMENT_SIMPLE_AUTOMATION_TEST(FC2REngineMatrixTest, "C2R.Canonical.EngineMatrices", EAutomationTestFlags::EditorContext | EAutomationTestFlags::ClientContext | EAutomationTestFlags::EngineFilter)

// The engine's own projection is of the form that the conversions expect.
bool FC2REngineMatrixTest::RunTest(const FString& Parameters)
{
	const FMatrix Engine = FReversedZPerspectiveMatrix(UE_PI / 6.0, 16.0, 9.0, 10.0);
	C2R::FMatrix4 Matrix;
	for (int32 Index = 0; Index < 16; ++Index)
	{
		Matrix.At[Index / 4][Index % 4] = Engine.M[Index / 4][Index % 4];
	}
	TestTrue(TEXT("perspective"), C2R::IsPerspective(Matrix));
	TestTrue(TEXT("reversed"), C2R::IsReversed(Matrix));
	TestEqual(TEXT("near plane"), C2R::UnitsFromDevice(1.0, C2R::DepthOfProjection(Matrix)), 10.0, 1e-3);
	return true;
}

#endif
