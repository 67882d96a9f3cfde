#include "C2RStreetActor.h"

#include "C2RStreetPlan.h"
#include "Components/InstancedStaticMeshComponent.h"
#include "Components/SceneComponent.h"
#include "Engine/StaticMesh.h"
#include "Materials/MaterialInstanceDynamic.h"
#include "Materials/MaterialInterface.h"
#include "UObject/ConstructorHelpers.h"

namespace
{
constexpr double UnitsPerMetre = 100.0;

FLinearColor ColourOf(int32 Tone)
{
	static const FLinearColor Colours[] = {
		FLinearColor(0.05f, 0.05f, 0.06f), FLinearColor(0.35f, 0.34f, 0.32f), FLinearColor(0.30f, 0.11f, 0.07f),
		FLinearColor(0.55f, 0.50f, 0.42f), FLinearColor(0.10f, 0.16f, 0.22f), FLinearColor(0.06f, 0.22f, 0.05f),
		FLinearColor(0.12f, 0.07f, 0.04f), FLinearColor(0.40f, 0.04f, 0.04f), FLinearColor(0.02f, 0.02f, 0.02f),
		FLinearColor(0.55f, 0.32f, 0.22f), FLinearColor(0.07f, 0.10f, 0.30f)};
	static_assert(UE_ARRAY_COUNT(Colours) == static_cast<int32>(C2R::ETone::Count), "a colour for every tone");
	return Colours[Tone];
}

// The engine's basic shapes are a metre on every side.
FTransform PlaceOf(const C2R::FPrimitive& Part)
{
	const FVector Centre(Part.Centre[0], Part.Centre[1], Part.Centre[2]);
	const FVector Extent(Part.Extent[0], Part.Extent[1], Part.Extent[2]);
	return FTransform(FRotator(0.0, Part.Turn, 0.0), Centre * UnitsPerMetre, Extent);
}
}

AC2RStreetActor::AC2RStreetActor()
{
	static ConstructorHelpers::FObjectFinder<UStaticMesh> FoundBox(TEXT("/Engine/BasicShapes/Cube.Cube"));
	static ConstructorHelpers::FObjectFinder<UStaticMesh> FoundCylinder(TEXT("/Engine/BasicShapes/Cylinder.Cylinder"));
	static ConstructorHelpers::FObjectFinder<UStaticMesh> FoundBall(TEXT("/Engine/BasicShapes/Sphere.Sphere"));
	static ConstructorHelpers::FObjectFinder<UMaterialInterface> FoundMaterial(TEXT("/Engine/BasicShapes/BasicShapeMaterial.BasicShapeMaterial"));
	Box = FoundBox.Object;
	Cylinder = FoundCylinder.Object;
	Ball = FoundBall.Object;
	BaseMaterial = FoundMaterial.Object;
	RootComponent = CreateDefaultSubobject<USceneComponent>(TEXT("Street"));
}

void AC2RStreetActor::OnConstruction(const FTransform& Transform)
{
	Super::OnConstruction(Transform);
	Rebuild();
}

UInstancedStaticMeshComponent* AC2RStreetActor::MakeGroup(int32 Shape, int32 Tone)
{
	UStaticMesh* const Meshes[] = {Box.Get(), Cylinder.Get(), Ball.Get()};
	UInstancedStaticMeshComponent* Group = NewObject<UInstancedStaticMeshComponent>(this);
	Group->SetStaticMesh(Meshes[Shape]);
	UMaterialInstanceDynamic* Material = UMaterialInstanceDynamic::Create(BaseMaterial, this);
	Material->SetVectorParameterValue(FName(TEXT("Color")), ColourOf(Tone));
	Group->SetMaterial(0, Material);
	Group->SetupAttachment(RootComponent);
	Group->RegisterComponent();
	Groups.Add(Group);
	return Group;
}

void AC2RStreetActor::Rebuild()
{
	for (UInstancedStaticMeshComponent* Group : Groups)
	{
		if (Group != nullptr)
		{
			Group->DestroyComponent();
		}
	}
	Groups.Empty();
	TMap<int32, UInstancedStaticMeshComponent*> ByKind;
	for (const C2R::FPrimitive& Part : C2R::StreetPlan(static_cast<uint32>(Seed), Length))
	{
		const int32 Shape = static_cast<int32>(Part.Shape), Tone = static_cast<int32>(Part.Tone);
		UInstancedStaticMeshComponent*& Group = ByKind.FindOrAdd(Shape * 64 + Tone);
		if (Group == nullptr)
		{
			Group = MakeGroup(Shape, Tone);
		}
		Group->AddInstance(PlaceOf(Part));
	}
}
